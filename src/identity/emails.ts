import type { Db } from '../../sql/connect.ts'
import { insertEmail } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { newId } from '../lib/ulid.ts'
import { foldEmail } from './email-address.ts'

/** Gives an account an address that was proven, in the caller's transaction; false when another account has it. */
export async function addEmail(
  deps: Pick<Deps, 'clock' | 'random'>,
  tx: Db,
  userId: string,
  email: string,
): Promise<boolean> {
  const now = deps.clock.now()
  const row = { id: newId(now, deps.random), userId, email, folded: foldEmail(email), now }
  const [added] = await insertEmail(tx, row)
  return added !== undefined
}
