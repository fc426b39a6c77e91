import type { Db } from '../../sql/connect.ts'
import { completeRegistration, markNeedsApproval, type RegistrationRow } from '../../sql/registrations.ts'
import { insertTerms } from '../../sql/terms.ts'
import { findUpstreamAnswer } from '../../sql/upstream-sessions.ts'
import type { Deps } from '../deps.ts'
import { sessionCookie } from '../http/browser.ts'
import { isOwnName } from '../http/urls.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds } from '../lib/clock.ts'
import { hmacSha256 } from '../lib/digest.ts'
import { transact } from '../lib/transact.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { beginSession } from './begin-session.ts'
import { provisionUser } from './devices.ts'
import { addEmail } from './emails.ts'
import { createUser } from './lifecycle.ts'
import { claimRegistrationToken } from './registration-tokens.ts'
import { recordSecurityEvent } from './security-log.ts'
import { LinkGone, takeLink } from './upstream.ts'
import type { Visit } from './visit.ts'

/** Seconds that a sign-up may take. */
export const SIGN_UP_LIFETIME = 3600
/** Sign-up forms of one address, in order or not: a class of people sends a hundred, a script thousands. */
export const FORM_LIMIT = { burst: 120, per_second: 1 }

/** Whether people need an invitation to sign up with a password. */
export const asksForToken = ({ config: { account } }: Pick<Deps, 'config'>): boolean =>
  account.password_registration_token_required || account.registration_token_required

/**
 * Whether a sign-up needs an invitation: all with a password do, or this one was spared the check against robots for the
 * sake of one, or came through a provider that wants one.
 */
export const needsToken = (
  deps: Pick<Deps, 'config'>,
  { upstream_session_id: wayId, invited }: Pick<RegistrationRow, 'upstream_session_id' | 'invited'>,
): boolean => invited || (wayId === null && asksForToken(deps))

/**
 * How a sign-up ended. `waits`: there is an account, which an admin has to approve. `done`: it was finished before. `taken`, `email_taken`: others were faster with the name or the
 * address. `token_spent`: so with the invitation. `link_gone`: what the provider said was used, or is somebody else's.
 */
export type SignUpResult =
  | { result: 'created'; userId: string; cookies: string[] }
  | { result: 'waits' }
  | { result: 'done' }
  | { result: 'taken' }
  | { result: 'email_taken' }
  | { result: 'token_spent' }
  | { result: 'link_gone' }

/**
 * Creates the account of a sign-up with all that belongs to it, and a session unless it waits, in one transaction; then lets the
 * homeserver know before anybody goes on. `email` is proven. `registration.username` was checked by the caller.
 */
export async function completeSignUp(
  deps: Deps,
  visit: Visit,
  registration: RegistrationRow,
  email: string | undefined,
  displayName: string,
): Promise<SignUpResult> {
  const now = deps.clock.now()
  const { password_version: version, password_hash: hash, upstream_session_id: wayId } = registration
  const created = await transact(deps.sql, async (tx) => {
    const [claimed] = await completeRegistration(tx, registration.id, displayName, now)
    if (!claimed) throw new Failed('done')
    const isAdmin = wayId !== null && (await isAdminThere(deps, tx, wayId))
    const user = await createUser(deps, tx, {
      username: registration.username,
      displayName,
      password: version === null || hash === null ? undefined : { version, hash },
      isAdmin,
      foreignName: !isOwnName(deps.urls, visit.request),
      approvalIn: deps.config.account.registration_requires_approval ? visit.lang : undefined,
    })
    const { registration_token_id: token } = registration
    const invited = token !== null && (await claimRegistrationToken(deps, tx, token))
    if (needsToken(deps, registration) && !invited) throw new Failed('token_spent')
    // Two sign-ups raced for one name: rolling back leaves this one open, to choose another.
    if (!user) throw new Failed('taken')
    if (email !== undefined && !(await addEmail(deps, tx, user.id, email))) throw new Failed('email_taken')
    await recordSecurityEvent(deps, tx, { userId: user.id, kind: 'signed_up', requester: visit.requester })
    if (isAdmin) await recordSecurityEvent(deps, tx, { userId: user.id, kind: 'admin_given', actor: 'admin' })
    const { terms_uri: uri } = registration
    if (uri !== null) await insertTerms(tx, user.id, { uri, version: registration.terms_version }, now)
    if (user.waits) {
      await markNeedsApproval(tx, registration.id)
      const through = wayId === null ? undefined : await takeLink(deps, tx, wayId, user.id, null)
      return { user, through, session: undefined }
    }
    const secret = sessionSecret(deps, visit, registration)
    const session = await beginSession(deps, tx, visit, user.id, {
      method: wayId === null ? 'password' : 'provider',
      quiet: true,
      secret,
    })
    const through = wayId === null ? undefined : await takeLink(deps, tx, wayId, user.id, session.id)
    return { user, through, session }
  }).catch((error: unknown) => {
    if (error instanceof Failed) return error.result
    if (error instanceof LinkGone) return 'link_gone' as const
    throw error
  })
  if (typeof created === 'string') return { result: created }
  if (created.through) deps.metrics.upstreamRegistrations.add(ulidFromUuid(created.through.providerId))
  else deps.metrics.passwordRegistrations.add()
  if (!created.session) return { result: 'waits' }
  // The job does it again if this fails; no code is given out before it worked.
  await provisionUser(deps, created.user.id).catch((error: unknown) =>
    deps.log.warn('provision.failed', { user_id: created.user.id, error }),
  )
  return { result: 'created', userId: created.user.id, cookies: created.session.cookies }
}

/** What tells a sign-up from others: of two forms of one way to a provider, the name. */
type SignUp = Pick<RegistrationRow, 'id' | 'upstream_session_id' | 'username'>

/**
 * The secret of the session that a sign-up ends in: the same for each time that its last form comes, since only the answer
 * to the last one arrives. Whoever wants to guess it needs our key.
 */
const sessionSecret = (
  { secrets }: Pick<Deps, 'secrets'>,
  { browser }: Pick<Visit, 'browser'>,
  { id, upstream_session_id: wayId, username }: SignUp,
): string => base64url(hmacSha256(secrets.signUp, `${wayId ?? id}\n${username}\n${browser.id}`))

/** Seconds in which a form may come a second time. */
export const TWICE = 30

/**
 * The cookie of the session that a sign-up just ended in, for a browser that sent its last form twice, as without script a
 * double click does: the first answer, which had it, never arrived. None later, and none for whoever is signed in.
 */
export function cookiesAgain(
  deps: Pick<Deps, 'secrets' | 'urls' | 'clock'>,
  visit: Visit,
  signUp: SignUp,
  completedAt: Date | null,
): string[] {
  const isLate = completedAt === null || addSeconds(completedAt, TWICE) <= deps.clock.now()
  if (isLate || !['none', 'ended'].includes(visit.session.state)) return []
  return [sessionCookie(deps.urls, sessionSecret(deps, visit, signUp))]
}

/** The right that comes with a claim (`admin_if`) is there from the first sign-in on. */
async function isAdminThere(deps: Pick<Deps, 'upstream'>, tx: Db, wayId: string): Promise<boolean> {
  const [way] = await findUpstreamAnswer(tx, wayId)
  return way !== undefined && deps.upstream.isAdmin(ulidFromUuid(way.provider_id), way.answer) === true
}

/** Rolls back. */
class Failed extends Error {
  readonly result: 'done' | 'taken' | 'email_taken' | 'token_spent'

  constructor(result: Failed['result']) {
    super(result)
    this.result = result
  }
}
