// node:fs: libpq's URI parameters name certificate files.
import { readFileSync } from 'node:fs'

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/**
 * The `database` section of the configuration (reference operations 1.4). `uri` excludes the split fields.
 * Times are in seconds; `null` means no limit. What is absent comes from libpq's PG* variables.
 */
export interface DatabaseConfig {
  uri?: string
  host?: string
  port?: number
  /** Directory of a Unix socket. */
  socket?: string
  username?: string
  password?: string
  database?: string
  ssl_mode?: SslMode
  /** PEM text. */
  ssl_ca?: string
  ssl_certificate?: string
  ssl_key?: string
  max_connections?: number
  connect_timeout?: number
  idle_timeout?: number | null
  max_lifetime?: number | null
  /** The server itself, where `uri` leads to a pooler: for migrations and LISTEN. */
  direct_uri?: string
  /** `transaction`: no prepared statements. */
  pooler?: 'transaction'
}

/** Where a database is and how to get in, from a URI or from the split fields. */
export interface DatabaseLocation {
  hosts: string[]
  ports: number[]
  username?: string
  password?: string
  database?: string
  sslMode?: SslMode
  ca?: string
  certificate?: string
  key?: string
}

const SSL_MODES: readonly string[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']

/** Parameters that are ours to handle; the rest (`options`, `search_path`, …) go to the server. */
const CLIENT_PARAMETERS = new Set(
  [
    'host hostaddr port user password dbname sslmode sslrootcert sslcert sslkey connect_timeout',
    'ssl-mode ssl-root-cert ssl-ca ssl-cert ssl-key statement-cache-capacity target_session_attrs',
  ].flatMap((names) => names.split(' ')),
)

/** Reads `uri` or the split fields; throws an Error with one sentence when the URI can't be read. */
export function locate(database: DatabaseConfig): {
  location: DatabaseLocation
  parameters: Record<string, string>
} {
  const { location, parameters } =
    database.uri === undefined ? { location: fromFields(database), parameters: {} } : fromUri(database.uri)
  if (database.ssl_mode !== undefined) location.sslMode = database.ssl_mode
  if (database.ssl_ca !== undefined) location.ca = database.ssl_ca
  if (database.ssl_certificate !== undefined) location.certificate = database.ssl_certificate
  if (database.ssl_key !== undefined) location.key = database.ssl_key
  return { location, parameters }
}

function fromFields(fields: DatabaseConfig): DatabaseLocation {
  const host = fields.socket ?? fields.host
  return {
    hosts: host === undefined ? [] : [host],
    ports: fields.port === undefined ? [] : [fields.port],
    ...(fields.username !== undefined && { username: fields.username }),
    ...(fields.password !== undefined && { password: fields.password }),
    ...(fields.database !== undefined && { database: fields.database }),
  }
}

/**
 * libpq's URI form, parsed here because neither URL nor the driver takes all of it: several hosts, a socket
 * directory as `%2Frun` or `?host=/run`, `sslmode=verify-ca`, certificate files.
 */
function fromUri(uri: string): { location: DatabaseLocation; parameters: Record<string, string> } {
  const match = /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(uri)
  if (!match)
    throw new Error('The database uri must look like postgresql://user:password@host:5432/database.')
  const [, authority = '', path = '', query = ''] = match
  const at = authority.lastIndexOf('@')
  const [user = '', ...password] = authority.slice(0, Math.max(at, 0)).split(':')
  const given = new URLSearchParams(query)
  const value = (...names: string[]) => names.map((name) => given.get(name)).find((found) => found)

  const endpoints = authority
    .slice(at + 1)
    .split(',')
    .filter((part) => part !== '')
  const hosts =
    value('host')?.split(',') ??
    endpoints.map((part) => decode(part.replace(/:\d*$/, '').replace(/^\[|\]$/g, '')))
  const ports =
    value('port')?.split(',').map(Number) ??
    endpoints.map((part) => Number(/:(\d+)$/.exec(part)?.[1] ?? 5432))
  const location: DatabaseLocation = {
    hosts,
    ports: endpoints.length === 0 && !given.has('port') ? [] : ports,
  }

  const username = value('user') ?? decode(user)
  if (username) location.username = username
  const secret = value('password') ?? decode(password.join(':'))
  if (secret) location.password = secret
  const name = value('dbname') ?? decode(path)
  if (name) location.database = name
  const mode = value('sslmode', 'ssl-mode')
  if (mode !== undefined && mode !== null) {
    if (!SSL_MODES.includes(mode)) throw new Error(`The database uri has an unknown sslmode: ${mode}.`)
    location.sslMode = mode as SslMode
  }
  const ca = value('sslrootcert', 'ssl-root-cert', 'ssl-ca')
  if (ca && ca !== 'system') location.ca = readFileSync(ca, 'utf8')
  const certificate = value('sslcert', 'ssl-cert')
  if (certificate) location.certificate = readFileSync(certificate, 'utf8')
  const key = value('sslkey', 'ssl-key')
  if (key) location.key = readFileSync(key, 'utf8')

  const parameters = Object.fromEntries([...given].filter(([key]) => !CLIENT_PARAMETERS.has(key)))
  return { location, parameters }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error(
      'The database uri holds a % that is not followed by two hexadecimal digits; write it as %25.',
    )
  }
}
