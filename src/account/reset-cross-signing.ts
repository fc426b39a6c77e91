import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import type { Route } from '../http/route.ts'
import { allowCrossSigningReset } from '../identity/profile.ts'
import { readOwnForm } from '../identity/visit.ts'
import type { FormError } from '../render/contexts.ts'
import { accountPage, goTo, type Opened, openAccount, openFresh } from './area.ts'

/** GET /account/reset-cross-signing (MSC4191, and the fallback page of Synapse's `m.oauth` stage). */
async function show(deps: Deps, request: Request): Promise<Response> {
  const opened = await openFresh(deps, request)
  return opened instanceof Response ? opened : resetPage(deps, opened)
}

/** POST /account/reset-cross-signing: the homeserver takes new keys from this person for ten minutes. */
async function allow(deps: Deps, request: Request): Promise<Response> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response) return opened
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return resetPage(deps, opened, { formError: { code: 'expired_form' }, status: 422 })
  if (deps.homeserver.kind === 'synapse_read_only')
    return resetPage(deps, opened, { formError: { code: 'not_here' }, status: 422 })
  try {
    const by = { actor: 'self', requester: opened.visit.requester } as const
    await allowCrossSigningReset(deps, opened.session.user_id, by)
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    deps.log.warn('cross_signing.homeserver_unavailable', { error })
    return resetPage(deps, opened, { formError: { code: 'unavailable' }, status: 503 })
  }
  return goTo(deps, opened, 'reset-cross-signing/success', { code: 'keys_reset_allowed' })
}

const resetPage = (deps: Deps, opened: Opened, state?: { formError: FormError; status: number }): Response =>
  accountPage(
    deps,
    opened,
    'overview',
    'account_reset_cross_signing',
    {
      possible: deps.homeserver.kind !== 'synapse_read_only',
      ...(state && { form_error: state.formError }),
    },
    {
      status: state?.status ?? 200,
      retryAfter: state?.status === 503 ? 5 : undefined,
      keepsOpener: true,
    },
  )

/** The two pages after it: done (which tells the app that waits, by a script), and given up. */
async function after(deps: Deps, request: Request, outcome: 'success' | 'cancelled'): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  return accountPage(
    deps,
    opened,
    'overview',
    'account_reset_cross_signing_done',
    { outcome },
    { keepsOpener: true },
  )
}

export const accountResetCrossSigningRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/reset-cross-signing', handle: (request) => show(deps, request) },
  { method: 'POST', path: '/account/reset-cross-signing', handle: (request) => allow(deps, request) },
  {
    method: 'GET',
    path: '/account/reset-cross-signing/success',
    handle: (request) => after(deps, request, 'success'),
  },
  {
    method: 'GET',
    path: '/account/reset-cross-signing/cancelled',
    handle: (request) => after(deps, request, 'cancelled'),
  },
]
