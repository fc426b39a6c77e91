import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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
    signingKeys: await Promise.all([
      newKey({
        name: 'RSASSA-PKCS1-v1_5',
        modulusLength: 2048,
        publicExponent: new Uint8Array([1, 0, 1]),
        hash: 'SHA-256',
      }),
      newKey({ name: 'ECDSA', namedCurve: 'P-256' }),
    ]),
  }
  await writeFile(path, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  return secrets
}

async function newKey(algorithm: RsaHashedKeyGenParams | EcKeyGenParams): Promise<string> {
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const der = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey))
  const lines = der.toBase64().match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}
