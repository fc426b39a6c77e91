import { type Static, Type } from '@sinclair/typebox'
import { account, captcha, experimental, oauth, passwords, policy, rateLimiting } from './schema/accounts.ts'
import { clients, upstream } from './schema/clients.ts'
import { http } from './schema/http.ts'
import { ldap } from './schema/ldap.ts'
import { outgoing } from './schema/outgoing.ts'
import { retention } from './schema/retention.ts'
import { branding, database, email, geoip, matrix, secrets, telemetry, templates } from './schema/server.ts'

/** The whole configuration file: the keys of MAS 1.22 and our own. */
export const ConfigSchema = Type.Object(
  {
    http,
    database,
    matrix,
    outgoing,
    geoip,
    secrets,
    clients,
    account,
    passwords,
    oauth,
    policy,
    rate_limiting: rateLimiting,
    retention,
    experimental,
    upstream_oauth2: upstream,
    ldap,
    email,
    captcha,
    branding,
    templates,
    telemetry,
  },
  { additionalProperties: false, default: {} },
)

/** The configuration as the files say it, defaults filled in, `*_file` keys not yet read. */
export type RawConfig = Static<typeof ConfigSchema>

type DeepPartial<T> = T extends (infer Item)[]
  ? DeepPartial<Item>[]
  : T extends object
    ? { [Key in keyof T]?: DeepPartial<T[Key]> | undefined }
    : T

/** What a file may say: every key is optional. */
export type ConfigInput = DeepPartial<RawConfig>

type DeepReadonly<T> = T extends Uint8Array
  ? T
  : T extends (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
      : T

type Listener = RawConfig['http']['listeners'][number]
type Client = RawConfig['clients'][number]
type Scheme = RawConfig['passwords']['schemes'][number]
type Provider = RawConfig['upstream_oauth2']['providers'][number]
type Database = NonNullable<RawConfig['database']>
type Ldap = NonNullable<RawConfig['ldap']>

/** Where a listener listens: TCP (without `host`: every address) or a Unix socket (`mode`: its permissions as a number). */
export type Bind = { host?: string; port: number } | { socket: string; mode?: number }

/** A signing key as given: PEM or DER bytes, not yet parsed. */
export interface SigningKeySource {
  kid?: string
  key: Uint8Array
  password?: Uint8Array
}

/** A listener with its binds in one shape, its prefix as `/path` without a slash at the end, its TLS files read. */
export type ResolvedListener = Omit<Listener, 'binds' | 'tls' | 'prefix' | 'proxy_protocol'> & {
  binds: Bind[]
  prefix?: string
  /** `source` is what the configuration says, to read the files again when they changed. */
  tls?: { certificate: string; key: Uint8Array; password?: string; source: NonNullable<Listener['tls']> }
}

interface Resolved {
  http: Omit<RawConfig['http'], 'issuer' | 'listeners'> & { issuer: string; listeners: ResolvedListener[] }
  database?: Omit<Database, 'password_file' | 'ssl_ca_file' | 'ssl_certificate_file' | 'ssl_key_file'>
  matrix: Omit<RawConfig['matrix'], 'kind' | 'secret' | 'secret_file'> & {
    /** `synapse_modern` is the same as `synapse`. */
    kind: Exclude<RawConfig['matrix']['kind'], 'synapse_modern'>
    secret: string
  }
  secrets: { encryption: string; previous_encryption: string[]; keys: SigningKeySource[] }
  clients: Omit<Client, 'client_secret_file'>[]
  passwords: Omit<RawConfig['passwords'], 'schemes'> & {
    schemes: (Omit<Scheme, 'secret' | 'secret_file'> & { secret?: Uint8Array })[]
  }
  email: Omit<RawConfig['email'], 'password_file'>
  upstream_oauth2: {
    providers: (Omit<Provider, 'client_secret_file' | 'sign_in_with_apple'> & {
      sign_in_with_apple?: { team_id: string; key_id: string; private_key: string }
    })[]
  }
  ldap?: Omit<Ldap, 'bind_password_file' | 'tls'> & { tls: Omit<Ldap['tls'], 'ca_file'> }
  account: RawConfig['account']
  oauth: RawConfig['oauth']
  outgoing: RawConfig['outgoing']
  geoip: RawConfig['geoip']
  policy: RawConfig['policy']
  rate_limiting: RawConfig['rate_limiting']
  retention: RawConfig['retention']
  experimental: RawConfig['experimental']
  captcha: RawConfig['captcha']
  branding: RawConfig['branding']
  templates: RawConfig['templates']
  telemetry: RawConfig['telemetry']
}

/**
 * The configuration that the rest of the program sees: all defaults applied, all secret files read and folded into
 * their plain keys, URLs normalised (`http.public_base` ends with `/`). Keys are spelled as in the file.
 */
export type Config = DeepReadonly<Resolved>

/** The same before it is made read-only, for the code that builds it. */
export type MutableConfig = Resolved
