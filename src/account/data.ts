import { exportAccount } from '../../sql/export.ts'
import type { Deps } from '../deps.ts'
import { RateLimited } from '../http/errors.ts'
import type { Route } from '../http/route.ts'
import { take } from '../identity/limits.ts'
import { readOwnForm, summary } from '../identity/visit.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import type { FormError } from '../render/contexts.ts'
import { accountPage, type Opened, openAccount, openFresh } from './area.ts'

/** How often an account may be exported: it reads everything that is held. */
const LIMIT = { burst: 5, per_second: 1 / 60 }

/** GET /account/data: the ways to one's data, and out. */
async function show(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  return opened instanceof Response ? opened : dataPage(deps, opened)
}

/** POST /account/data/export: everything that is held about the person, as a file to keep. */
async function download(deps: Deps, request: Request): Promise<Response> {
  const opened = await openFresh(deps, request, 'data')
  if (opened instanceof Response) return opened
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return dataPage(deps, opened, { code: 'expired_form' })
  const { session } = opened
  try {
    await take(deps, 'export', session.user_id, LIMIT)
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    return dataPage(deps, opened, { code: 'rate_limited', retry_after_seconds: error.retryAfter })
  }
  const [row] = await exportAccount(deps.sql, session.user_id)
  const { mxid } = summary(deps, session)
  const data = {
    service: deps.urls.base,
    matrix_id: mxid,
    subject: ulidFromUuid(session.user_id),
    exported_at: deps.clock.now().toISOString(),
    ...row?.data,
  }
  deps.log.info('account.exported', { user_id: session.user_id, ip: opened.visit.requester.ip })
  return new Response(`${JSON.stringify(data, null, 2)}\n`, {
    headers: {
      'content-type': 'application/json',
      // Names may have characters that a header cannot hold.
      'content-disposition': `attachment; filename="account-${session.username.replace(/[^a-z0-9._-]/g, '_')}.json"`,
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    },
  })
}

const dataPage = (deps: Deps, opened: Opened, formError?: FormError): Response =>
  accountPage(
    deps,
    opened,
    'data',
    'account_data',
    {
      deactivation_allowed: deps.config.account.account_deactivation_allowed,
      ...(formError && { form_error: formError }),
    },
    {
      status: formError === undefined ? 200 : formError.code === 'rate_limited' ? 429 : 422,
      retryAfter: formError?.retry_after_seconds,
    },
  )

export const accountDataRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/data', handle: (request) => show(deps, request) },
  { method: 'POST', path: '/account/data/export', handle: (request) => download(deps, request) },
]
