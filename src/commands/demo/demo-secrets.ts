import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateSigningKeys } from '../../crypto/keystore.ts'
import { type Random, randomString } from '../../lib/random.ts'

/** What a deployment has to keep between starts. */
export interface DemoSecrets {
  /** Shared by Latchkey and Synapse. */
  matrix: string
  macaroon: string
  form: string
  /** 64 hexadecimal digits. */
  encryption: string
  /** PEM, PKCS #8. */
  signingKeys: string[]
}

/** The secrets of the deployment in `directory`; made at the first start. Only the owner can read the file. */
export async function loadDemoSecrets(directory: string, random: Random): Promise<DemoSecrets> {
  const path = join(directory, 'secrets.json')
  const known = await readFile(path, 'utf8').catch(() => undefined)
  if (known !== undefined) return JSON.parse(known) as DemoSecrets
  const secrets = {
    matrix: randomString(random, 43),
    macaroon: randomString(random, 43),
    form: randomString(random, 43),
    encryption: random.bytes(32).toHex(),
    signingKeys: (await generateSigningKeys()).map(({ pem }) => pem),
  }
  await writeFile(path, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  return secrets
}
