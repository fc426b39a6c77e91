import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { ConfigInput } from '../../config/schema.ts'
import type { DemoSecrets } from './demo-secrets.ts'

/** Where the parts of the demo are. */
export interface DemoPlace {
  directory: string
  serverName: string
  latchkeyPort: number
  synapsePort: number
}

/**
 * Writes `config.yaml` for a Latchkey beside Synapse and returns its path. There is no `database` in it, so the
 * embedded one starts. `extra` replaces whole sections.
 */
export async function writeLatchkeyConfig(
  place: DemoPlace,
  secrets: DemoSecrets,
  extra: ConfigInput = {},
): Promise<string> {
  const config: ConfigInput = {
    http: {
      public_base: `http://localhost:${place.latchkeyPort}/`,
      listeners: [
        {
          name: 'web',
          resources: ['discovery', 'human', 'oauth', 'compat', 'assets', 'adminapi', 'health'].map(
            (name) => ({
              name,
            }),
          ),
          binds: [{ host: '127.0.0.1', port: place.latchkeyPort }],
        },
      ] as NonNullable<ConfigInput['http']>['listeners'],
    },
    matrix: {
      kind: 'synapse',
      homeserver: place.serverName,
      endpoint: `http://127.0.0.1:${place.synapsePort}/`,
      secret: secrets.matrix,
    },
    secrets: { encryption: secrets.encryption, keys: secrets.signingKeys.map((key) => ({ key })) },
    account: { password_registration_enabled: true, password_registration_email_required: false },
    // Matrix clients that are being developed run on http://localhost and know nothing of https.
    policy: { data: { client_registration: { allow_host_mismatch: true, allow_insecure_uris: true } } },
    ...extra,
  }
  const path = join(place.directory, 'config.yaml')
  const note = '# Written by `latchkey demo` at every start: changes here are lost.\n'
  await writeFile(path, note + stringify(config), { mode: 0o600 })
  return path
}
