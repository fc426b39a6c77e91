import { type LinkedIdentityRow, listLinkedIdentities } from '../../sql/upstream-links.ts'
import type { Deps } from '../deps.ts'
import type { PathParams, Route } from '../http/route.ts'
import { noProviderNotice, readProviderNotice } from '../identity/provider-notice.ts'
import { nameOfProviderIn, providerButtons } from '../identity/providers.ts'
import { unlinkIdentity } from '../identity/upstream.ts'
import { readOwnForm } from '../identity/visit.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import type { LinkedIdentity } from '../render/contexts-upstream.ts'
import { accountPage, goTo, openAccount, openFresh } from './area.ts'

/** GET /account/linked: the identities that lead into the account, and those that could. */
async function list(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const rows = await listLinkedIdentities(deps.sql, opened.session.user_id)
  const linked = new Set(rows.map((row) => ulidFromUuid(row.provider_id)))
  const notice = readProviderNotice(deps, request)
  const context = {
    identities: rows.map((row) => describe(deps, row)),
    providers: providerButtons(deps.config).filter(({ id }) => !linked.has(id)),
    ...(notice && { notice }),
  }
  const cookies = notice ? [noProviderNotice(deps)] : []
  return accountPage(deps, opened, 'linked', 'account_linked', context, { cookies })
}

const describe = ({ config }: Pick<Deps, 'config'>, row: LinkedIdentityRow): LinkedIdentity => ({
  id: ulidFromUuid(row.id),
  provider: nameOfProviderIn(config, row),
  ...(row.human_account_name !== null && { account: row.human_account_name }),
  since: row.created_at.toISOString(),
  ...(row.last_used_at !== null && { last_used_at: row.last_used_at.toISOString() }),
  disabled: row.provider_disabled,
})

/** GET /account/linked/{id}/unlink: says what unlinking means. */
async function confirm(
  deps: Deps,
  request: Request,
  { id = '' }: PathParams,
  expired = false,
): Promise<Response> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response) return opened
  const uuid = uuidFromUlid(id)
  const row = (await listLinkedIdentities(deps.sql, opened.session.user_id)).find((one) => one.id === uuid)
  if (!row) return goTo(deps, opened, 'linked', { code: 'identity_gone' })
  return accountPage(deps, opened, 'linked', 'account_unlink', { identity: describe(deps, row) }, { expired })
}

/** POST /account/linked/{id}/unlink: takes it away, unless it is the last way in. */
async function unlink(deps: Deps, request: Request, params: PathParams): Promise<Response> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response) return opened
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return confirm(deps, request, params, true)
  const { user_id: userId } = opened.session
  const uuid = uuidFromUlid(params.id ?? '')
  const result =
    uuid === undefined ? 'gone' : await unlinkIdentity(deps, userId, uuid, opened.visit.requester)
  return goTo(deps, opened, 'linked', { code: UNLINKED[result] })
}

// Written out, so that a search for a text finds who uses it.
const UNLINKED = { unlinked: 'identity_unlinked', last: 'identity_last', gone: 'identity_gone' } as const

export const accountLinkedRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/linked', handle: (request) => list(deps, request) },
  {
    method: 'GET',
    path: '/account/linked/{id}/unlink',
    handle: (request, params) => confirm(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/linked/{id}/unlink',
    handle: (request, params) => unlink(deps, request, params),
  },
]
