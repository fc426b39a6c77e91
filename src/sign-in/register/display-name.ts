import type { Deps } from '../../deps.ts'
import type { Params } from '../../http/params.ts'
import { redirect } from '../../http/reply.ts'
import type { PathParams, Route } from '../../http/route.ts'
import { DISPLAY_NAME_LIMIT } from '../../identity/profile.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { openVisit, readOwnForm } from '../../identity/visit.ts'
import { create, displayNamePage, doneAlready, usernameRefusal } from './complete.ts'
import { assertProven } from './email.ts'
import { findStep, nextPath, type Step, stepPath } from './step.ts'

/** GET …/finish: on to the step that is next, or to where the finished sign-up leads. Changes nothing (flows 13). */
async function goOn(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  return redirect(deps.urls.path(nextPath(deps, await findStep(deps, visit, id))), visit.browser.cookies)
}

/** GET …/display-name: the last step. */
async function show(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  const step = await findStep(deps, visit, id)
  const next = nextPath(deps, step)
  if (next !== stepPath(step.registration.id, 'display-name'))
    return redirect(deps.urls.path(next), visit.browser.cookies)
  return displayNamePage(deps, step, step.registration.display_name ?? '', {})
}

/** POST …/display-name: takes the name and creates the account. */
async function finish(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const step = await findStep(deps, await openVisit(deps, request), id)
  const { visit } = step.flow
  const next = nextPath(deps, step)
  const { form, own } = await readOwnForm(deps, visit)
  if (step.registration.completed_at && own) return doneAlready(deps, visit, step.registration)
  if (next !== stepPath(step.registration.id, 'display-name'))
    return redirect(deps.urls.path(next), visit.browser.cookies)
  assertProven(deps, step)
  const decided = decidedName(step)
  const typed = decided ?? form.display_name?.trim() ?? ''
  // Where another name was asked for, the page that comes back asks for it again, with what was typed.
  const renamed = form.username === undefined ? {} : { username: form.username }
  if (!own)
    return displayNamePage(deps, step, typed, {
      ...renamed,
      formError: { code: 'expired_form' },
      status: 422,
    })
  const skip = form.action === 'skip' && decided === undefined
  const error = skip ? undefined : nameError(typed)
  if (error)
    return displayNamePage(deps, step, typed, { ...renamed, errors: { display_name: [error] }, status: 422 })
  const username = usernameOf(deps, step, form)
  const refused = await usernameRefusal(deps, visit, step, username, typed)
  if (refused) return refused
  return create(
    deps,
    visit,
    { ...step, registration: { ...step.registration, username } },
    skip ? username : typed,
  )
}

/** Somebody was faster with the name: the page then asks for another one beside the display name. */
const usernameOf = (deps: Deps, { registration }: Step, form: Params): string =>
  registration.username_decided
    ? registration.username
    : localpartOf(form.username ?? '', deps.config.matrix.homeserver) || registration.username

/** The display name, where a provider decided about it. */
const decidedName = ({ registration }: Step): string | undefined =>
  registration.display_name_decided ? (registration.display_name ?? undefined) : undefined

function nameError(
  name: string,
): { code: 'required' } | { code: 'too_long'; args: { max: number } } | undefined {
  if (name === '') return { code: 'required' }
  if (new TextEncoder().encode(name).length > DISPLAY_NAME_LIMIT)
    return { code: 'too_long', args: { max: DISPLAY_NAME_LIMIT } }
  return undefined
}

export const displayNameRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/register/steps/{id}/display-name',
    handle: (request, params) => show(deps, request, params),
  },
  {
    method: 'POST',
    path: '/register/steps/{id}/display-name',
    handle: (request, params) => finish(deps, request, params),
  },
  {
    method: 'GET',
    path: '/register/steps/{id}/finish',
    handle: (request, params) => goOn(deps, request, params),
  },
]
