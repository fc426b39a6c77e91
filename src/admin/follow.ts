import { Type } from '@sinclair/typebox'
import type { PageBounds } from '../../sql/page.ts'
import type { Deps } from '../deps.ts'
import { addSeconds } from '../lib/clock.ts'
import { firstIdOf } from '../lib/ulid.ts'
import { poll } from '../lib/waiting.ts'
import { readPage } from './page.ts'

/** Lists that grow can be followed by long polling (decision 30). */

/** Seconds that a follower waits at most. */
const LONGEST_WAIT = 30
/**
 * Seconds until a follower is told of an entry. Processes write at the same time, and their clocks differ: an entry that
 * comes late must not come before the cursor.
 */
const SETTLING = 2

/** The parameter of a list that can be followed. */
export const Wait = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: LONGEST_WAIT,
    description: 'Seconds to wait for an entry when there is none.',
    errorMessage: `It must be a number of seconds from 0 to ${LONGEST_WAIT}.`,
  }),
)

/** An id; a follower is told of what is before it. Undefined for those who do not follow. */
export const settledBefore = (
  { clock }: Pick<Deps, 'clock'>,
  query: { wait?: number },
): string | undefined =>
  query.wait === undefined ? undefined : firstIdOf(addSeconds(clock.now(), -SETTLING))

/** Waits until the page that is asked for has an entry, or the time is over. */
export async function untilAny(
  query: { wait?: number } & Readonly<Record<string, unknown>>,
  rows: (page: PageBounds) => PromiseLike<readonly unknown[]>,
): Promise<void> {
  if (query.wait === undefined) return
  await poll(query.wait * 1000, async () => (await rows({ ...readPage(query), size: 1 }))[0])
}
