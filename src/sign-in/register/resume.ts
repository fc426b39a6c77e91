import {
  deleteUnfinishedRegistrations,
  findLiveRegistration,
  type RegistrationRow,
  setRegistrationContinuation,
  setRegistrationToken,
} from '../../../sql/registrations.ts'
import type { Deps } from '../../deps.ts'
import { browserHash } from '../../http/browser.ts'
import { type Params, readPageQuery } from '../../http/params.ts'
import { redirect } from '../../http/reply.ts'
import type { Route } from '../../http/route.ts'
import { type Continuation, readContinuation, withContinuation } from '../../identity/continuation.ts'
import { checkRegistrationToken } from '../../identity/registration-tokens.ts'
import { needsToken, SIGN_UP_LIFETIME } from '../../identity/sign-up.ts'
import { openVisit, page, readOwnForm, type Visit } from '../../identity/visit.ts'
import { addSeconds } from '../../lib/clock.ts'
import { type Flow, openFlow } from '../../oauth/grant-context.ts'
import { stepPath } from './step.ts'

/** The sign-up that this browser began last and can still finish. */
export async function liveRegistration(deps: Deps, visit: Visit): Promise<RegistrationRow | undefined> {
  const since = addSeconds(deps.clock.now(), -SIGN_UP_LIFETIME)
  const [live] = await findLiveRegistration(deps.sql, browserHash(visit.browser), since)
  return live
}

/** The page that offers to go on with a sign-up, or to begin anew. */
export const resumePage = (
  deps: Deps,
  { visit, client, formAction, images }: Flow,
  continuation: Continuation,
  { username }: RegistrationRow,
  token: string | undefined,
  expired = false,
): Response =>
  page(
    deps,
    visit,
    'register_resume',
    {
      mxid: deps.homeserver.mxid(username),
      continuation: continuation.text,
      ...(token !== undefined && { token }),
      ...(client && { client }),
    },
    { formAction, images, expired },
  )

/** POST /register/resume: goes on with the sign-up of this browser, or gives up all that it began. */
async function resume(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const continuation = readContinuation(readPageQuery(request))
  const { form, own } = await readOwnForm(deps, visit)
  const live = await liveRegistration(deps, visit)
  if (live && !own) {
    const flow = await openFlow(deps, visit, continuation)
    return resumePage(deps, flow, continuation, live, form.token, true)
  }
  if (live && form.action === 'continue') {
    // It leads where the person is going now: the app may have begun another request meanwhile.
    if (continuation.text !== '') await setRegistrationContinuation(deps.sql, live.id, continuation.text)
    await takeInvitation(deps, visit, live, form)
    return redirect(deps.urls.path(stepPath(live.id, 'finish')), visit.browser.cookies)
  }
  if (own && form.action === 'restart')
    await deleteUnfinishedRegistrations(deps.sql, browserHash(visit.browser))
  const start = deps.urls.path(withContinuation('/register', continuation))
  const token = form.token === undefined ? '' : `token=${encodeURIComponent(form.token)}`
  const way = token === '' ? start : `${start}${start.includes('?') ? '&' : '?'}${token}`
  return redirect(way, visit.browser.cookies)
}

/** An invitation that came as a link, while its step was open. A bad one is asked for there. */
async function takeInvitation(
  deps: Deps,
  visit: Visit,
  live: RegistrationRow,
  { token }: Params,
): Promise<void> {
  if (token === undefined || live.registration_token_id !== null || !needsToken(deps, live)) return
  const id = await checkRegistrationToken(deps, token, visit.requester)
  if (id !== undefined) await setRegistrationToken(deps.sql, live.id, id)
}

export const registerResumeRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/register/resume', handle: (request) => resume(deps, request) },
]
