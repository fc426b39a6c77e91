import type { Deps } from '../deps.ts'
import { readPageQuery } from '../http/params.ts'
import type { Route } from '../http/route.ts'
import { readDeactivationTicket, undoDeactivation } from '../identity/deactivation.ts'
import { openVisit, page, readOwnForm, type Visit } from '../identity/visit.ts'
import type { FormError } from '../render/contexts.ts'

/** The address of these pages has the ticket in it: nobody that they lead to may see it (decision 2). */
const SECRET_ADDRESS = { referrerPolicy: 'no-referrer' } as const

/** GET /account/deactivate/undo?ticket=: asks. Mail scanners open every link, so this changes nothing. */
async function ask(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  return askPage(deps, visit, readPageQuery(request).ticket ?? '')
}

/** POST /account/deactivate/undo: the account is as it was. */
async function undo(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const { form, own } = await readOwnForm(deps, visit)
  const { ticket = '' } = form
  if (!own) return askPage(deps, visit, ticket, { code: 'expired_form' })
  const found = await readDeactivationTicket(deps, ticket, visit.requester)
  if (!found || !(await undoDeactivation(deps, ticket, visit.requester))) return gonePage(deps, visit)
  return page(
    deps,
    visit,
    'deactivation_undo',
    { step: 'done', mxid: deps.homeserver.mxid(found.username) },
    SECRET_ADDRESS,
  )
}

async function askPage(deps: Deps, visit: Visit, ticket: string, error?: FormError): Promise<Response> {
  const found = await readDeactivationTicket(deps, ticket, visit.requester)
  if (!found) return gonePage(deps, visit)
  const context = {
    step: 'ask',
    ticket,
    mxid: deps.homeserver.mxid(found.username),
    due_at: found.due_at.toISOString(),
    ...(error && { form_error: error }),
  } as const
  return page(deps, visit, 'deactivation_undo', context, { ...SECRET_ADDRESS, status: error ? 422 : 200 })
}

/** Taken back already, or too late: the link does not tell which. */
const gonePage = (deps: Deps, visit: Visit): Response =>
  page(deps, visit, 'deactivation_undo', { step: 'gone' }, { ...SECRET_ADDRESS, status: 410 })

export const accountDeactivateUndoRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/deactivate/undo', handle: (request) => ask(deps, request) },
  { method: 'POST', path: '/account/deactivate/undo', handle: (request) => undo(deps, request) },
]
