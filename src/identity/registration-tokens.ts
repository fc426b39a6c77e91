import type { Db } from '../../sql/connect.ts'
import {
  findValidRegistrationToken,
  insertRegistrationToken,
  type RegistrationTokenRow,
  useRegistrationToken,
} from '../../sql/registration-tokens.ts'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { sha256 } from '../lib/digest.ts'
import { randomString } from '../lib/random.ts'
import { newId } from '../lib/ulid.ts'
import { limitSubject, take } from './limits.ts'

/** What an invitation may be written with, wherever it is: in a link, in a mail, on paper. */
export const REGISTRATION_TOKEN = /^[A-Za-z0-9._~-]{1,64}$/
/** Characters of one that we make, as MAS's. */
const LENGTH = 12

/** Guesses at invitations of one address. */
const GUESSES = { burst: 20, per_second: 1 / 30 }

/** How often and how long an invitation may be used; null for without end. */
export interface RegistrationTokenLimits {
  usageLimit: number | null
  expiresAt: Date | null
}

const hashOf = (token: string): Uint8Array => sha256(`registration_token:${token}`)
const sealContext = (id: string): string => `registration_token:${id}`

/**
 * Makes an invitation, with a text of the caller's (`REGISTRATION_TOKEN`) or a random one; undefined when there is one
 * with this text.
 */
export async function createRegistrationToken(
  deps: Pick<Deps, 'sql' | 'clock' | 'random' | 'secrets' | 'log'>,
  wanted: RegistrationTokenLimits & { token?: string | undefined },
): Promise<{ row: RegistrationTokenRow; token: string } | undefined> {
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const token = wanted.token ?? randomString(deps.random, LENGTH)
  const [row] = await insertRegistrationToken(deps.sql, {
    id,
    hash: hashOf(token),
    sealed: await deps.secrets.seal(token, sealContext(id)),
    usageLimit: wanted.usageLimit,
    expiresAt: wanted.expiresAt,
    now,
  })
  if (row) deps.log.info('registration_token.created', { id, usage_limit: wanted.usageLimit })
  return row && { row, token }
}

/** The text of an invitation; undefined when the key that it was sealed under is gone. */
export const openRegistrationToken = (
  deps: Pick<Deps, 'secrets'>,
  row: Pick<RegistrationTokenRow, 'id' | 'sealed_token'>,
): Promise<string | undefined> => deps.secrets.open(row.sealed_token, sealContext(row.id))

/** Whether somebody may still sign up with an invitation. */
export const isValidRegistrationToken = (row: RegistrationTokenRow, now: Date): boolean =>
  row.revoked_at === null &&
  (row.expires_at === null || row.expires_at > now) &&
  (row.usage_limit === null || row.times_used < row.usage_limit)

/**
 * The id of the invitation that somebody typed, if it is good for another account. Nothing is counted yet: see
 * `claimRegistrationToken`.
 *
 * @throws RateLimited
 */
export async function checkRegistrationToken(
  deps: Pick<Deps, 'sql' | 'clock' | 'secrets' | 'log'>,
  typed: string,
  requester: Requester,
): Promise<string | undefined> {
  await take(deps, 'registration-token.ip', limitSubject(requester.ip), GUESSES)
  const token = typed.trim()
  if (!REGISTRATION_TOKEN.test(token)) return undefined
  const [row] = await findValidRegistrationToken(deps.sql, hashOf(token), deps.clock.now())
  return row?.id
}

/** Counts the use of an invitation with the account that it makes; false when others were faster, or it was revoked. */
export async function claimRegistrationToken(
  deps: Pick<Deps, 'clock'>,
  tx: Db,
  id: string,
): Promise<boolean> {
  const [claimed] = await useRegistrationToken(tx, id, deps.clock.now())
  return claimed !== undefined
}
