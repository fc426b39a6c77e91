import { deleteSigningKey, insertSigningKey, listSigningKeys } from '../../sql/signing-keys.ts'
import { generateSigningKeys, type KeySource, type Keystore, loadKeystore } from '../crypto/keystore.ts'
import type { Deps } from '../deps.ts'
import { addSeconds } from '../lib/clock.ts'
import { transact } from '../lib/transact.ts'

/** Seconds that discovery and the key set may be kept by whoever fetched them. */
export const KEY_SET_LIFETIME = 600
/** Seconds until a process has seen what another one wrote: it reloads every minute. */
const RELOAD = 60

/** The signing keys of this deployment: those of the configuration, then those that `keys rotate` made. */
export interface Keyring extends Keystore {
  /** Reads the database's keys anew. Keys that cannot be opened are left out, and named. */
  reload(): Promise<{ unreadable: string[] }>
}

type Needs = Pick<Deps, 'sql' | 'clock' | 'secrets'>

const contextOf = (kid: string): string => `signing-key:${kid}`

/**
 * The keyring over the keys of the configuration; `reload` adds the database's. A new key is published at once and signs
 * only when every cached copy of the key set has it (decision 15); the older ones still verify until they are removed.
 *
 * @throws KeyError when a key of the configuration cannot be used
 */
export async function createKeyring(
  deps: Needs,
  configured: readonly KeySource[],
): Promise<{ keyring: Keyring; warnings: string[] }> {
  const { keystore, warnings } = await loadKeystore(configured)
  let published = keystore
  let signing = keystore
  const keyring: Keyring = {
    get jwks() {
      return published.jwks
    },
    get algorithms() {
      return signing.algorithms
    },
    sign: (claims, options) => signing.sign(claims, options),
    verify: (jwt, expected) => published.verify(jwt, expected),
    decrypt: (jwe) => published.decrypt(jwe),
    async reload() {
      const now = deps.clock.now()
      const unreadable: string[] = []
      const sources: (KeySource & { signs: boolean })[] = []
      for (const row of await listSigningKeys(deps.sql)) {
        const key = await deps.secrets.open(row.sealed_key, contextOf(row.kid))
        if (key === undefined) unreadable.push(row.kid)
        else sources.push({ kid: row.kid, key, signs: row.signs_from <= now })
      }
      published = (await loadKeystore([...configured, ...sources])).keystore
      signing = (await loadKeystore([...configured, ...sources.filter(({ signs }) => signs)])).keystore
      return { unreadable }
    },
  }
  return { keyring, warnings }
}

/** Makes a fresh set of signing keys; gives their kids, and when they begin to sign. */
export async function rotateKeys(deps: Needs): Promise<{ kids: string[]; signsFrom: Date }> {
  const fresh = await generateSigningKeys()
  const now = deps.clock.now()
  const signsFrom = addSeconds(now, KEY_SET_LIFETIME + RELOAD)
  const sealed = await Promise.all(
    fresh.map(async ({ kid, pem }) => ({ kid, sealedKey: await deps.secrets.seal(pem, contextOf(kid)) })),
  )
  await transact(deps.sql, async (tx) => {
    for (const key of sealed) await insertSigningKey(tx, { ...key, now, signsFrom })
  })
  return { kids: fresh.map(({ kid }) => kid), signsFrom }
}

/** Removes a key of the database: what it signed is not believed any more. False when there is none of this kid. */
export async function removeKey(deps: Needs, kid: string): Promise<boolean> {
  const [removed] = await deleteSigningKey(deps.sql, kid)
  return removed !== undefined
}
