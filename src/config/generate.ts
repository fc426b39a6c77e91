import { type Random, randomString } from '../lib/random.ts'
import { unbuiltResources } from './unbuilt.ts'

/** What a generated configuration is made of. */
export interface GenerateOptions {
  random: Random
  /** Private keys in PEM form; where two fit, the last one signs. */
  signingKeyPem: readonly string[]
  /** TCP port on loopback; 8080 unless given. */
  port?: number
  /** The server name of the Matrix deployment; `localhost` unless given. */
  homeserver?: string
}

/** What one listener serves on a first start; those that are not built yet are left out. */
const RESOURCES = [
  ['discovery', 'how clients find everything else'],
  ['human', 'the pages'],
  ['oauth', 'tokens, for clients and the homeserver'],
  ['compat', 'sign-in of older Matrix clients'],
  ['assets', 'styles and scripts of the pages'],
  ['adminapi', 'the admin API'],
  ['well-known', '/.well-known/matrix/client'],
  ['health', 'whether the server is well'],
] as const

/**
 * The configuration of a first start, as YAML with comments: one listener on loopback, fresh secrets, no homeserver,
 * registration without an email address, no `database` section (so the embedded one runs).
 */
export function generateConfig(options: GenerateOptions): string {
  const { random, signingKeyPem, port = 8080, homeserver = 'localhost' } = options
  const unbuilt = unbuiltResources()
  const served = RESOURCES.filter(([name]) => !unbuilt.has(name))
  const left = RESOURCES.filter(([name]) => unbuilt.has(name)).map(([name]) => name)
  return `# Configuration of Latchkey. docs/configuration.md explains every key.
# Keep this file private: it holds the secrets of your server. Back it up together with the database.

http:
  # The address that people and apps use. Change it when the server gets a name of its own.
  public_base: http://localhost:${port}/
  listeners:
    - name: web
      resources:
${served.map(([name, what]) => `        - name: ${name} # ${what}`).join('\n')}
${left.length === 0 ? '' : `        # Not built yet, so not served: ${left.join(', ')}.\n`}\
      binds:
        # localhost: this machine only.
        - host: localhost
          port: ${port}

matrix:
  # No homeserver yet. To connect Synapse: kind: synapse, its server name, and endpoint with its address.
  kind: standalone
  homeserver: ${JSON.stringify(homeserver)}
  # Shared with the homeserver.
  secret: ${JSON.stringify(randomString(random, 32))}

account:
  # Anyone who reaches this server can make an account. Turn it off before the server is public.
  password_registration_enabled: true
  password_registration_email_required: false

secrets:
  # Protects what is stored. If it is lost, stored secrets can't be read any more.
  encryption: ${JSON.stringify(random.bytes(32).toHex())}
  # Sign tokens. Where two fit, the last one signs; add a new one below and keep the old one for a while.
  keys:${signingKeyPem.length === 0 ? ' []' : ''}
${signingKeyPem.map((pem) => keyEntry(pem, randomString(random, 10))).join('')}`
}

const keyEntry = (pem: string, kid: string): string =>
  `    - kid: ${JSON.stringify(kid)}
      key: |
${pem
  .trim()
  .split(/\r?\n/)
  .map((line) => `        ${line}\n`)
  .join('')}`
