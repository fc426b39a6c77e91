import type { RecoveryTicketRow } from '../../../sql/recoveries.ts'
import type { Deps } from '../../deps.ts'
import { browserHash } from '../../http/browser.ts'
import { readPageQuery } from '../../http/params.ts'
import { redirect } from '../../http/reply.ts'
import type { Route } from '../../http/route.ts'
import { readContinuation } from '../../identity/continuation.ts'
import { checkNewPassword } from '../../identity/new-password.ts'
import { readTicket, recoveryEnabled, resetPassword } from '../../identity/recovery.ts'
import { signInAgain } from '../../identity/recovery-twice.ts'
import { endSession } from '../../identity/sessions.ts'
import { stoppedPage } from '../../identity/stopped-page.ts'
import { activeSession, openVisit, page, readOwnForm, type Visit } from '../../identity/visit.ts'
import { equalBytes } from '../../lib/digest.ts'
import type { FieldErrors, FormError, PasswordFeedback } from '../../render/contexts.ts'

/** The address of these pages has the ticket in it: nobody that they lead to may see it (decision 2). */
const SECRET_ADDRESS = { referrerPolicy: 'no-referrer' } as const

/**
 * GET /account/password/recovery?ticket= (reference flows 5.2): the form. Mail scanners open every link, so this changes
 * nothing; and whoever is signed in here stays so.
 */
async function show(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const { ticket = '' } = readPageQuery(request)
  const found = await readTicket(deps, ticket, visit.requester)
  if (found.state === 'gone') return gonePage(deps, visit)
  if (found.state === 'locked') return lockedPage(deps, visit, found.account)
  return passwordPage(deps, visit, ticket, found.account, { endSessions: true })
}

/** POST /account/password/recovery: sets the password, once, and signs in. */
async function reset(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const { form, own } = await readOwnForm(deps, visit)
  const { ticket = '', password = '' } = form
  const found = await readTicket(deps, ticket, visit.requester)
  if (found.state === 'gone') return own ? afterwards(deps, visit, ticket, password) : gonePage(deps, visit)
  const { account } = found
  if (found.state === 'locked') return lockedPage(deps, visit, account)
  const endSessions = form.end_sessions !== undefined
  if (!own)
    return passwordPage(deps, visit, ticket, account, { endSessions, formError: { code: 'expired_form' } })
  const names = [account.username, account.display_name ?? '']
  const { errors, feedback } = await checkNewPassword(deps, form, names)
  if (Object.keys(errors).length > 0)
    return passwordPage(deps, visit, ticket, account, { endSessions, errors, ...(feedback && { feedback }) })
  const hash = await deps.passwords.hash(password)
  const done = await resetPassword(deps, visit, ticket, hash, { endSessions })
  if (!done) return afterwards(deps, visit, ticket, password)
  // Whoever was signed in here before gave way to the owner of the mail: no cookie leads there any more.
  const before = activeSession(visit)
  if (before) await endSession(deps, before.user_id, before.id)
  return redirect(deps.urls.path(goalOf(visit, account)), [...visit.browser.cookies, ...done.cookies])
}

/** What a spent ticket leads to: the account for the second of two clicks, else the page that says so. */
async function afterwards(deps: Deps, visit: Visit, ticket: string, password: string): Promise<Response> {
  const cookies = await signInAgain(deps, visit, ticket, password)
  if (!cookies) return gonePage(deps, visit)
  return redirect(deps.urls.path('/account/'), [...visit.browser.cookies, ...cookies])
}

/** Where the person was on the way to, in the browser that asked; elsewhere their account. */
function goalOf(visit: Visit, { browser_hash, continuation }: RecoveryTicketRow): string {
  const same = browser_hash !== null && equalBytes(browser_hash, browserHash(visit.browser))
  if (!same || !continuation) return '/account/'
  return readContinuation(Object.fromEntries(new URLSearchParams(continuation))).path
}

const gonePage = (deps: Deps, visit: Visit): Response =>
  page(
    deps,
    visit,
    'recover_gone',
    { recovery_enabled: recoveryEnabled(deps) },
    { ...SECRET_ADDRESS, status: 410 },
  )

const lockedPage = (deps: Deps, visit: Visit, account: RecoveryTicketRow): Promise<Response> =>
  stoppedPage(deps, visit, readContinuation({}), 'locked', account.username)

function passwordPage(
  deps: Deps,
  visit: Visit,
  ticket: string,
  account: RecoveryTicketRow,
  state: {
    endSessions: boolean
    errors?: FieldErrors
    formError?: FormError
    feedback?: PasswordFeedback
  },
): Response {
  const { endSessions, errors, formError, feedback } = state
  return page(
    deps,
    visit,
    'recover_password',
    {
      form: {
        end_sessions: endSessions,
        errors: errors ?? {},
        ...(formError && { form_error: formError }),
      },
      ticket,
      username: account.username,
      mxid: deps.homeserver.mxid(account.username),
      ...(account.display_name !== null && { display_name: account.display_name }),
      minimum_complexity: deps.passwords.minimumComplexity,
      ...(feedback && { password_feedback: feedback }),
    },
    { ...SECRET_ADDRESS, status: errors || formError ? 422 : 200 },
  )
}

export const recoveryPasswordRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/password/recovery', handle: (request) => show(deps, request) },
  { method: 'POST', path: '/account/password/recovery', handle: (request) => reset(deps, request) },
]
