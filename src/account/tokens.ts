import {
  findPersonalSession,
  listPersonalSessions,
  type PersonalSessionRow,
} from '../../sql/personal-sessions.ts'
import { findUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { NotFound, Unavailable } from '../http/errors.ts'
import { readPageQuery } from '../http/params.ts'
import type { PathParams, Route } from '../http/route.ts'
import {
  createPersonalToken,
  type PersonalTokenResult,
  regeneratePersonalToken,
  revokePersonalSession,
} from '../identity/personal-tokens.ts'
import { readOwnForm } from '../identity/visit.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import type { FormError } from '../render/contexts.ts'
import type { TokenLifetime } from '../render/contexts-tokens.ts'
import { accountPage, goTo, type Opened, openAccount, openFresh } from './area.ts'
import { describeToken, isReplaceable } from './describe-token.ts'
import { PAGE, pageOf, readPage } from './paging.ts'
import {
  choicesFor,
  EMPTY_FORM,
  LIFETIMES,
  lifetimeOf,
  readTokenForm,
  scopeOf,
  scopeViolations,
  type TokenForm,
} from './token-form.ts'

/** GET /account/tokens?page=: what acts in my name, and what I made for others. */
async function list(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const at = readPage(readPageQuery(request))
  const found = await listPersonalSessions(deps.sql, opened.session.user_id, PAGE + 1, (at - 1) * PAGE)
  if (found.length === 0 && at > 1) return goTo(deps, opened, 'tokens')
  const { shown, pager } = pageOf(at, found)
  return accountPage(deps, opened, 'tokens', 'account_tokens', {
    tokens: shown.map((row) => describeToken(deps, row, opened.session)),
    ...pager,
  })
}

/** GET /account/tokens/new, for somebody who proved lately who they are. */
async function showNew(deps: Deps, request: Request): Promise<Response> {
  const opened = await openFresh(deps, request)
  return opened instanceof Response ? opened : newPage(deps, opened, EMPTY_FORM)
}

/** POST /account/tokens/new: makes a token and shows it, this one time. */
async function create(deps: Deps, request: Request): Promise<Response> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response) return opened
  const { visit, session } = opened
  const { form: fields, own } = await readOwnForm(deps, visit)
  const form = readTokenForm(fields)
  if (!own) return newPage(deps, opened, { ...form, errors: {}, form_error: { code: 'expired_form' } })
  if (Object.keys(form.errors).length > 0) return newPage(deps, opened, form)
  const [actor] = await findUser(deps.sql, session.user_id)
  if (!actor) throw new NotFound()
  try {
    const made = await createPersonalToken(deps, {
      actor,
      owner: { userId: session.user_id },
      maker: 'self',
      name: form.name,
      scope: scopeOf(deps, form),
      expiresIn: lifetimeOf(form.expires),
      requester: visit.requester,
    })
    if (made.result === 'issued') return issuedPage(deps, opened, made)
    return newPage(deps, opened, { ...form, form_error: refusalOf(made) })
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    return newPage(deps, opened, { ...form, form_error: { code: 'unavailable' } })
  }
}

/** What the form says when there is no token. */
function refusalOf(made: Exclude<PersonalTokenResult, { result: 'issued' }>): FormError {
  const isFull =
    made.result === 'refused' && made.violations.every(({ code }) => code === 'too-many-sessions')
  return { code: isFull ? 'too_many_sessions' : 'not_allowed' }
}

async function newPage(deps: Deps, opened: Opened, form: TokenForm): Promise<Response> {
  const status = form.form_error?.code === 'unavailable' ? 503 : 422
  const isWrong = form.form_error !== undefined || Object.keys(form.errors).length > 0
  const choices = await choicesFor(deps, opened)
  return accountPage(
    deps,
    opened,
    'tokens',
    'account_token_new',
    { form, choices, lifetimes: LIFETIMES },
    { status: isWrong ? status : 200, ...(status === 503 && { retryAfter: 5 }) },
  )
}

/** The page is in the answer to the form, and not behind a redirect: nothing keeps the token until then. */
const issuedPage = (
  deps: Deps,
  opened: Opened,
  issued: { session: PersonalSessionRow; token: string },
): Response =>
  accountPage(deps, opened, 'tokens', 'account_token_issued', {
    token: issued.token,
    target: describeToken(deps, issued.session, opened.session),
  })

/** The token of an address, if it acts as this person or they made it; else, or when it ended, the way to the list. */
async function findTarget(deps: Deps, opened: Opened, id: string): Promise<PersonalSessionRow | Response> {
  const uuid = uuidFromUlid(id)
  const [row] = uuid === undefined ? [] : await findPersonalSession(deps.sql, uuid)
  const userId = opened.session.user_id
  if (!row || (row.user_id !== userId && row.owner_user_id !== userId)) throw new NotFound()
  return row.finished_at ? goTo(deps, opened, 'tokens', { code: 'token_gone' }) : row
}

/** What a handler of one token works with. */
interface Target {
  opened: Opened
  row: PersonalSessionRow
}

/** GET and POST /account/tokens/{id}/replace begin alike: only who made a token for themselves may replace it. */
async function openReplaceable(deps: Deps, request: Request, id: string): Promise<Response | Target> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response) return opened
  const row = await findTarget(deps, opened, id)
  if (row instanceof Response) return row
  if (!isReplaceable(row, opened.session)) throw new NotFound()
  return { opened, row }
}

async function showReplace(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const target = await openReplaceable(deps, request, id)
  return target instanceof Response ? target : replacePage(deps, target, EMPTY_FORM.expires)
}

/** POST /account/tokens/{id}/replace: another token for the same, shown this one time. */
async function replace(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const target = await openReplaceable(deps, request, id)
  if (target instanceof Response) return target
  const { opened, row } = target
  const { form: fields, own } = await readOwnForm(deps, opened.visit)
  const { expires } = readTokenForm(fields)
  if (!own) return replacePage(deps, target, expires, { code: 'expired_form' })
  // The person may have lost a right since: what they cannot grant today, they do not grant again.
  if ((await scopeViolations(deps, opened, row.scope)).length > 0)
    return replacePage(deps, target, expires, { code: 'not_allowed' })
  const by = { actor: 'self', requester: opened.visit.requester } as const
  const issued = await regeneratePersonalToken(deps, row.id, lifetimeOf(expires), by)
  return issued ? issuedPage(deps, opened, issued) : goTo(deps, opened, 'tokens', { code: 'token_gone' })
}

const replacePage = (
  deps: Deps,
  { opened, row }: Target,
  expires: TokenLifetime,
  formError?: FormError,
): Response =>
  accountPage(
    deps,
    opened,
    'tokens',
    'account_token_replace',
    {
      target: describeToken(deps, row, opened.session),
      form: { expires, errors: {}, ...(formError && { form_error: formError }) },
      lifetimes: LIFETIMES,
    },
    { status: formError ? 422 : 200 },
  )

/** GET /account/tokens/{id}/revoke: says what that means. */
async function showRevoke(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const row = await findTarget(deps, opened, id)
  if (row instanceof Response) return row
  return revokePage(deps, { opened, row })
}

const revokePage = (deps: Deps, { opened, row }: Target, expired = false): Response =>
  accountPage(
    deps,
    opened,
    'tokens',
    'account_token_revoke',
    { target: describeToken(deps, row, opened.session) },
    { expired },
  )

/** POST /account/tokens/{id}/revoke: ends it. Nobody is asked to sign in again for that. */
async function revoke(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const row = await findTarget(deps, opened, id)
  if (row instanceof Response) return row
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return revokePage(deps, { opened, row }, true)
  // Whoever made a token for somebody else is not the one in whose log it stands.
  const isOwn = row.user_id === opened.session.user_id
  const by = isOwn ? ({ actor: 'self', requester: opened.visit.requester } as const) : undefined
  const ended = await revokePersonalSession(deps, row.id, by)
  return goTo(deps, opened, 'tokens', { code: ended ? 'token_revoked' : 'token_gone' })
}

export const accountTokenRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/tokens', handle: (request) => list(deps, request) },
  { method: 'GET', path: '/account/tokens/new', handle: (request) => showNew(deps, request) },
  { method: 'POST', path: '/account/tokens/new', handle: (request) => create(deps, request) },
  {
    method: 'GET',
    path: '/account/tokens/{id}/replace',
    handle: (request, params) => showReplace(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/tokens/{id}/replace',
    handle: (request, params) => replace(deps, request, params),
  },
  {
    method: 'GET',
    path: '/account/tokens/{id}/revoke',
    handle: (request, params) => showRevoke(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/tokens/{id}/revoke',
    handle: (request, params) => revoke(deps, request, params),
  },
]
