import {
  present,
  type Reading,
  readBytes,
  reasonOf,
  secretBytes,
  secretText,
  warnTrailingNewline,
} from '../reading.ts'
import type { Path } from '../report.ts'
import type { MutableConfig, RawConfig, SigningKeySource } from '../schema.ts'

/** `secrets`: the encryption secret, the keys of `keys_dir` in name order, then those of `keys`. */
export async function resolveSecrets(
  raw: RawConfig['secrets'],
  reading: Reading,
): Promise<MutableConfig['secrets']> {
  const { report } = reading
  const path = ['secrets']
  const encryption = await secretText(reading, raw, 'encryption', path)
  if (raw.encryption === undefined && raw.encryption_file === undefined) {
    report.problem(
      [...path, 'encryption'],
      'is missing: give 64 hexadecimal digits (`openssl rand -hex 32` makes some), or `encryption_file`',
    )
  }
  if (raw.encryption_file !== undefined && encryption && !/^[0-9a-fA-F]{64}$/.test(encryption)) {
    report.problem([...path, 'encryption_file'], 'the file must hold exactly 64 hexadecimal digits')
  }
  const keys = raw.keys_dir === undefined ? [] : await keysOfDirectory(raw.keys_dir, reading)
  const kids = new Set<string>()
  for (const [index, entry] of raw.keys.entries()) {
    const here = [...path, 'keys', index]
    const key = await secretBytes(reading, entry, 'key', here)
    const password = await secretBytes(reading, entry, 'password', here)
    warnTrailingNewline(reading, entry, 'password', here, password)
    if (entry.key === undefined && entry.key_file === undefined) {
      report.problem(here, 'needs `key` or `key_file`')
    }
    if (entry.kid !== undefined && kids.has(entry.kid)) {
      report.problem([...here, 'kid'], 'is used twice: every signing key needs an id of its own')
    }
    if (entry.kid !== undefined) kids.add(entry.kid)
    if (key === undefined) continue
    checkKey(key, [...here, entry.key === undefined ? 'key_file' : 'key'], reading)
    keys.push({ key, ...present({ kid: entry.kid, password }) })
  }
  if (raw.keys.length === 0 && keys.length === 0) {
    report.warn([...path, 'keys'], 'there is no signing key, so no ID token can be signed')
  }
  return {
    encryption: (encryption ?? '').toLowerCase(),
    previous_encryption: raw.previous_encryption.map((hex) => hex.toLowerCase()),
    keys,
  }
}

async function keysOfDirectory(directory: string, reading: Reading): Promise<SigningKeySource[]> {
  const path = ['secrets', 'keys_dir']
  let names: string[]
  try {
    names = await reading.readDir(directory)
  } catch (error) {
    reading.report.problem(path, `the directory ${directory} can't be read (${reasonOf(error)})`)
    return []
  }
  const keys: SigningKeySource[] = []
  for (const name of names.filter((one) => !one.startsWith('.')).sort()) {
    const key = await readBytes(reading, `${directory.replace(/\/+$/, '')}/${name}`, path)
    if (key === undefined) continue
    checkKey(key, path, reading, name)
    keys.push({ key })
  }
  return keys
}

/** Keys are parsed by crypto/; this only catches a wrong file early. 0x30 is how a DER key begins. */
function checkKey(key: Uint8Array, path: Path, { report }: Reading, file?: string): void {
  if (key[0] === 0x30 || new TextDecoder().decode(key).includes('-----BEGIN ')) return
  report.problem(path, `${file === undefined ? '' : `${file}: `}this is not a private key in PEM or DER form`)
}

/** `passwords`: peppers read (byte for byte), versions unique. Nothing is looked at when passwords are off. */
export async function resolvePasswords(
  raw: RawConfig['passwords'],
  reading: Reading,
): Promise<MutableConfig['passwords']> {
  const path = ['passwords', 'schemes']
  const schemes: MutableConfig['passwords']['schemes'] = []
  const versions = new Set<number>()
  if (raw.enabled && raw.schemes.length === 0) {
    reading.report.problem(path, 'must have at least one entry: remove the key to use argon2id')
  }
  for (const [index, { secret: _, secret_file: __, ...scheme }] of raw.schemes.entries()) {
    if (!raw.enabled) break
    const here = [...path, index]
    const written = raw.schemes[index] ?? {}
    const secret = await secretBytes(reading, written, 'secret', here)
    warnTrailingNewline(reading, written, 'secret', here, secret)
    if (versions.has(scheme.version)) {
      reading.report.problem([...here, 'version'], 'is used twice: every scheme needs a version of its own')
    }
    versions.add(scheme.version)
    if (scheme.cost !== undefined && scheme.algorithm !== 'bcrypt') {
      reading.report.problem([...here, 'cost'], 'belongs to `bcrypt` only')
    }
    schemes.push({ ...scheme, ...present({ secret }) })
  }
  return { ...raw, schemes }
}
