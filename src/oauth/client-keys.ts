import type { ClientRow } from '../../sql/clients.ts'
import { fetchPublic, type PublicFetchOptions } from '../http/fetch-public.ts'
import type { Clock } from '../lib/clock.ts'

/** A public key set as a client publishes it. */
export interface KeySet {
  keys: Record<string, unknown>[]
}

/** The keys of clients, from their metadata or from their `jwks_uri`. */
export interface ClientKeys {
  /**
   * The key set of a client. With `fresh` an older copy than half a minute is fetched again: a client rotates its keys
   * by publishing a new `kid`.
   *
   * @throws Error when it cannot be fetched and no copy will do; its text is for the log
   */
  of(client: ClientRow, fresh?: boolean): Promise<KeySet | undefined>
}

/** Seconds that a fetched key set is used without asking again, and the bounds of what its server may say. */
const LIFETIME = { usual: 600, least: 60, most: 86_400 }
/** Seconds before an unknown `kid` may cause another fetch: an attacker cannot make us fetch at will. */
export const REFETCH_AFTER = 30
/** Seconds after its fetch that a copy still serves while there is no newer one to be had. */
const STALE_LIMIT = 86_400
/** Key sets that are kept; the oldest goes first. */
const CAPACITY = 1000
/** Keys of one set that are looked at. */
const KEY_LIMIT = 50

interface Cached {
  fetchedAt: number
  expiresAt: number
  set: Promise<KeySet>
  /** The newest copy that came, from this fetch or one before. */
  last: { set: KeySet; at: number } | undefined
}

/** Key sets by where they are fetched from. */
export interface KeySets {
  /**
   * The key set at `place`; `load` fetches it. With `fresh` as for `ClientKeys`. While `load` fails, a copy of the last
   * day is given where any copy will do: whoever it is about does not get in or out with an outage of their server. With
   * `fresh` none will, since the key that is wanted is not in it.
   *
   * @throws what `load` throws
   */
  at(place: string, load: LoadKeySet, fresh?: boolean): Promise<KeySet>
}

type LoadKeySet = () => Promise<{ set: KeySet; maxAge: number | undefined }>

/** Creates the cache of one process. */
export function createKeySets(clock: Clock): KeySets {
  const cache = new Map<string, Cached>()
  const fetchInto = (place: string, load: LoadKeySet, now: number): Cached => {
    const entry: Cached = {
      fetchedAt: now,
      expiresAt: now + LIFETIME.usual * 1000,
      set: Promise.resolve({ keys: [] }),
      last: cache.get(place)?.last,
    }
    entry.set = load().then(({ set, maxAge }) => {
      const seconds = Math.min(Math.max(maxAge ?? LIFETIME.usual, LIFETIME.least), LIFETIME.most)
      entry.expiresAt = now + seconds * 1000
      entry.last = { set, at: now }
      return set
    })
    // A failure is not kept, but for the pause before the next try.
    entry.set.catch(() => {
      entry.expiresAt = now + REFETCH_AFTER * 1000
    })
    cache.delete(place)
    cache.set(place, entry)
    const [oldest] = cache.keys()
    if (cache.size > CAPACITY && oldest !== undefined) cache.delete(oldest)
    return entry
  }
  return {
    async at(place, load, fresh = false) {
      const now = clock.now().getTime()
      const cached = cache.get(place)
      const usable =
        cached && cached.expiresAt > now && !(fresh && cached.fetchedAt + REFETCH_AFTER * 1000 <= now)
      const entry = usable ? cached : fetchInto(place, load, now)
      try {
        return await entry.set
      } catch (error) {
        const { last } = entry
        if (!fresh && last && last.at + STALE_LIMIT * 1000 > now) return last.set
        throw error
      }
    },
  }
}

/**
 * The keys of clients, kept by one process. A fetch is bounded to 5 seconds and 64 kB, and goes to public https addresses
 * only: anybody may register a `jwks_uri` (reference edge 25).
 */
export function createClientKeys(
  clock: Clock,
  options: Pick<PublicFetchOptions, 'allows' | 'ca'> = {},
): ClientKeys {
  const sets = createKeySets(clock)
  return {
    async of(client, fresh = false) {
      if (client.metadata.jwks !== undefined) return client.metadata.jwks as KeySet
      const uri = client.metadata.jwks_uri
      return typeof uri === 'string' ? sets.at(uri, () => fetchKeySet(uri, options), fresh) : undefined
    },
  }
}

async function fetchKeySet(
  uri: string,
  options: Pick<PublicFetchOptions, 'allows' | 'ca'>,
): Promise<{ set: KeySet; maxAge: number | undefined }> {
  const { status, body, maxAge } = await fetchPublic(new URL(uri), {
    timeoutMs: 5000,
    maxBytes: 65_536,
    ...options,
  })
  if (status !== 200) throw new Error(`jwks_uri answered ${status}`)
  return { set: parseKeySet(body), maxAge }
}

/** A key set as its server answered it, not more of it than is looked at. @throws Error when it is none */
export function parseKeySet(body: string): KeySet {
  const parsed: unknown = JSON.parse(body)
  const keys = (parsed as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys)) throw new Error('jwks_uri did not answer a key set')
  const usable = keys.filter((key): key is Record<string, unknown> => typeof key === 'object' && key !== null)
  return { keys: usable.slice(0, KEY_LIMIT) }
}
