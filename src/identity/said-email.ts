import { noteAskedForEmail, wasAskedForEmail } from '../../sql/upstream-links.ts'
import { listUserEmails } from '../../sql/user-emails.ts'
import { findUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { RateLimited, Unavailable } from '../http/errors.ts'
import { sha256 } from '../lib/digest.ts'
import { transact } from '../lib/transact.ts'
import { foldEmail } from './email-address.ts'
import { beginVerification, type Claimant, takeCodeLimits } from './email-verification.ts'
import type { SecurityLogNeeds } from './security-log.ts'

/**
 * A provider says an address of somebody who signs in, and does not vouch for it: a code on its way there proves it, and
 * until then it waits in the account area. They are asked once for an address; a limit that is used up keeps nobody out, and
 * the next sign-in asks.
 */
export async function askToProveEmail(
  deps: SecurityLogNeeds & Pick<Deps, 'sql' | 'urls'>,
  { userId, linkId }: { userId: string; linkId: string },
  email: string,
  claimant: Omit<Claimant, 'username'> & { saidBy: string },
): Promise<void> {
  const folded = foldEmail(email)
  const hash = sha256(`asked-email\n${folded}`)
  const [asked] = await wasAskedForEmail(deps.sql, linkId, hash)
  if (asked) return
  const [user] = await findUser(deps.sql, userId)
  if (!user) return
  const own = await listUserEmails(deps.sql, userId)
  if (own.some((row) => foldEmail(row.email) === folded)) return
  try {
    await takeCodeLimits(deps, claimant.requester, email)
  } catch (error) {
    if (!(error instanceof RateLimited || error instanceof Unavailable)) throw error
    deps.log.warn('upstream.sync_failed', { user_id: userId, attribute: 'email', error })
    return
  }
  await transact(deps.sql, async (tx) => {
    // Of two sign-ins at once one asks.
    const [first] = await noteAskedForEmail(tx, linkId, userId, hash)
    if (first) await beginVerification(deps, tx, { userId }, email, { ...claimant, username: user.username })
  })
}
