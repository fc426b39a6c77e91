import { findClientOfSession } from '../../sql/connected-apps.ts'
import { findPersonalSession } from '../../sql/personal-sessions.ts'
import { findActiveSession, type SessionRow } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import type { PathParams, Route } from '../http/route.ts'
import { describeSession } from '../identity/describe-session.ts'
import { renameSession } from '../identity/sessions.ts'
import { readOwnForm } from '../identity/visit.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { clientSummary } from '../oauth/grant-context.ts'
import { scopeLine } from '../oauth/scope-line.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'
import type { AccountSessionPage } from '../render/contexts-account.ts'
import { accountPage, goTo, type Opened, openAccount } from './area.ts'
import { describeToken } from './describe-token.ts'

/** Characters that the name of a session may have: Synapse refuses longer names of devices. */
const NAME_LIMIT = 100

/** What a session of the API before OAuth may do: all of it. */
const WHOLE_API = ['urn:matrix:client:api:*']

interface FormState {
  name: string
  errors?: FieldErrors
  formError?: FormError
  status?: number
}

/** The visit and the active session of the address; or the response, when it is not there or not theirs. */
async function open(
  deps: Deps,
  request: Request,
  id: string,
): Promise<Response | { opened: Opened; row: SessionRow }> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const uuid = uuidFromUlid(id)
  const [row] = uuid === undefined ? [] : await findActiveSession(deps.sql, uuid, opened.session.user_id)
  return row ? { opened, row } : goTo(deps, opened, 'sessions', { code: 'session_gone' })
}

/** GET /account/sessions/{id}: everything about one session. */
async function show(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const found = await open(deps, request, id)
  return found instanceof Response ? found : sessionPage(deps, found.opened, found.row)
}

/** POST /account/sessions/{id}: another name, here and at the homeserver. */
async function rename(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const found = await open(deps, request, id)
  if (found instanceof Response) return found
  const { opened, row } = found
  const { form, own } = await readOwnForm(deps, opened.visit)
  const name = (form.name ?? '').trim().replace(/\s+/g, ' ')
  const again = (state: Omit<FormState, 'name'>) => sessionPage(deps, opened, row, { name, ...state })
  if (!own) return again({ formError: { code: 'expired_form' } })
  if (name === '') return again({ errors: { name: [{ code: 'required' }] } })
  if ([...name].length > NAME_LIMIT)
    return again({ errors: { name: [{ code: 'too_long', args: { max: NAME_LIMIT } }] } })
  try {
    if (!(await renameSession(deps, opened.session, row.id, name)))
      return goTo(deps, opened, 'sessions', { code: 'session_gone' })
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    deps.log.warn('session.rename_failed', { session_id: row.id, error })
    return again({ formError: { code: 'unavailable' }, status: 503 })
  }
  return goTo(deps, opened, `sessions/${id}`, { code: 'session_renamed' })
}

async function sessionPage(
  deps: Deps,
  opened: Opened,
  row: SessionRow,
  state?: FormState,
): Promise<Response> {
  const { session } = opened
  const [client] = row.kind === 'oauth' ? await findClientOfSession(deps.sql, row.id, session.user_id) : []
  const [personal] = row.kind === 'personal' ? await findPersonalSession(deps.sql, row.id) : []
  const token = personal && describeToken(deps, personal, session)
  const scope = client?.scope ?? (row.kind === 'compat' ? WHOLE_API : [])
  const [begunIn] = client?.browser_session_id
    ? await findActiveSession(deps.sql, client.browser_session_id, session.user_id)
    : []
  const context: Omit<AccountSessionPage, 'sections' | 'section' | 'flash'> = {
    target: describeSession(row, session),
    scopes: token?.scopes ?? scope.map(scopeLine),
    ...(token && { token }),
    ...(client && { app: { id: ulidFromUuid(client.client_id), ...clientSummary(client) } }),
    ...(begunIn && { begun_in: describeSession(begunIn, session) }),
    form: {
      name: state?.name ?? row.human_name ?? '',
      errors: state?.errors ?? {},
      ...(state?.formError && { form_error: state.formError }),
    },
  }
  return accountPage(deps, opened, 'sessions', 'account_session', context, {
    status: state ? (state.status ?? 422) : 200,
    retryAfter: state?.status === 503 ? 5 : undefined,
  })
}

export const accountSessionRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/account/sessions/{id}',
    handle: (request, params) => show(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/sessions/{id}',
    handle: (request, params) => rename(deps, request, params),
  },
]
