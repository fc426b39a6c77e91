import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { isThere } from '../../lib/is-there.ts'
import type { InstalledSynapse } from './install-synapse.ts'
import { lastLines } from './process.ts'

/** What a Synapse under Latchkey has to be told. */
export interface SynapseSettings {
  /** Holds everything of this Synapse: configuration, keys, database, media, log. Made when missing. */
  directory: string
  serverName: string
  /** On 127.0.0.1. */
  port: number
  /** Where clients reach the deployment: the front. */
  publicBaseUrl: string
  /** Where Synapse reaches Latchkey. */
  latchkeyUrl: string
  /** The secret that both sides share: `matrix.secret` of Latchkey. */
  secret: string
  /** Sign Synapse's own short-lived tokens and forms; the same at every start. */
  macaroonSecret: string
  formSecret: string
  /**
   * For releases before 1.136: Synapse asks about tokens as this client of Latchkey, and takes `secret` for the token
   * of an admin.
   */
  legacyClient?: { id: string; secret: string }
  /** Paths of the registrations of application services (bridges). */
  appServices?: readonly string[]
  /** Synapse speaks HTTP/2 with Latchkey from the first byte on. */
  forceHttp2?: boolean
}

/** Plenty for tests, which do in a second what a person does in a day. */
const PLENTY = { per_second: 1000, burst_count: 10_000 }

/**
 * Writes `homeserver.yaml` and `log.yaml` and, the first time, makes the signing key. Returns the path of the
 * former. There is no federation: no listener for it, no server to talk to, none to trust.
 */
export async function writeSynapseConfig(
  installed: InstalledSynapse,
  settings: SynapseSettings,
): Promise<string> {
  const { directory } = settings
  await mkdir(join(directory, 'media'), { recursive: true, mode: 0o700 })
  const path = join(directory, 'homeserver.yaml')
  // Only the owner may read it, as it holds the shared secret.
  await writeFile(path, `${NOTE}${stringify(homeserverYaml(settings), PLAIN)}`, { mode: 0o600 })
  await writeFile(join(directory, 'log.yaml'), `${NOTE}${stringify(logYaml(directory), PLAIN)}`, {
    mode: 0o600,
  })
  if (!(await isThere(join(directory, 'signing.key')))) await makeSigningKey(installed, path)
  return path
}

/** Equal values are written out, not as YAML anchors, which few people read. */
const PLAIN = { aliasDuplicateObjects: false }

const NOTE = '# Written by `latchkey demo` at every start: changes here are lost.\n'

function homeserverYaml(settings: SynapseSettings) {
  const { directory } = settings
  return {
    server_name: settings.serverName,
    public_baseurl: settings.publicBaseUrl,
    report_stats: false,
    pid_file: join(directory, 'synapse.pid'),
    signing_key_path: join(directory, 'signing.key'),
    log_config: join(directory, 'log.yaml'),
    media_store_path: join(directory, 'media'),
    macaroon_secret_key: settings.macaroonSecret,
    form_secret: settings.formSecret,
    database: { name: 'sqlite3', args: { database: join(directory, 'homeserver.db') } },
    listeners: [
      {
        type: 'http',
        port: settings.port,
        bind_addresses: ['127.0.0.1'],
        tls: false,
        x_forwarded: true,
        resources: [{ names: ['client', 'health'] }],
      },
    ],
    ...delegation(settings),
    app_service_config_files: settings.appServices ?? [],
    // A fresh database builds indexes in the background, by default with a second's rest after each step.
    background_updates: { sleep_enabled: false },
    federation_domain_whitelist: [],
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    enable_room_list_search: true,
    rc_message: PLENTY,
    rc_registration: PLENTY,
    rc_login: { address: PLENTY, account: PLENTY, failed_attempts: PLENTY },
    rc_joins: { local: PLENTY, remote: PLENTY },
    rc_joins_per_room: PLENTY,
    rc_invites: { per_room: PLENTY, per_user: PLENTY, per_issuer: PLENTY },
    rc_room_creation: PLENTY,
    rc_key_requests: PLENTY,
    rc_media_create: PLENTY,
    rc_presence: { per_user: PLENTY },
    rc_profile: PLENTY,
    rc_user_directory: PLENTY,
    rc_delayed_event_mgmt: PLENTY,
  }
}

/** What makes Synapse leave accounts and tokens to Latchkey. */
function delegation({ legacyClient, latchkeyUrl, secret, forceHttp2 }: SynapseSettings) {
  if (!legacyClient) {
    const force = forceHttp2 ? { force_http2: true } : {}
    return { matrix_authentication_service: { enabled: true, endpoint: latchkeyUrl, secret, ...force } }
  }
  const msc3861 = {
    enabled: true,
    issuer: latchkeyUrl,
    client_id: legacyClient.id,
    client_auth_method: 'client_secret_basic',
    client_secret: legacyClient.secret,
    admin_token: secret,
    introspection_endpoint: new URL('oauth2/introspect', latchkeyUrl).href,
  }
  return { experimental_features: { msc3861 } }
}

function logYaml(directory: string) {
  return {
    version: 1,
    formatters: { plain: { format: '%(asctime)s %(levelname)s %(name)s %(request)s %(message)s' } },
    handlers: {
      file: {
        class: 'logging.handlers.RotatingFileHandler',
        formatter: 'plain',
        filename: join(directory, 'synapse.log'),
        maxBytes: 10_000_000,
        backupCount: 1,
        encoding: 'utf8',
      },
    },
    root: { level: 'INFO', handlers: ['file'] },
    disable_existing_loggers: false,
  }
}

async function makeSigningKey(installed: InstalledSynapse, path: string): Promise<void> {
  const command = [installed.python, '-m', 'synapse.app.homeserver', '--config-path', path, '--generate-keys']
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  const problem = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) {
    throw new Error(`Synapse does not accept its configuration ${path}:\n${lastLines(problem, 5)}`)
  }
}
