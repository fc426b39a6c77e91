import type { Json } from '../../sql/connect.ts'
import { meetUpstreamLink } from '../../sql/upstream-links.ts'
import {
  claimUpstreamSession,
  completeUpstreamSession,
  type UpstreamSessionRow,
} from '../../sql/upstream-sessions.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { readCookie } from '../http/cookies.ts'
import { NotFound, PageError } from '../http/errors.ts'
import { plainPage } from '../http/page-response.ts'
import { type Params, readPageForm, readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { storedContinuation } from '../identity/continuation.ts'
import { sealIdToken } from '../identity/provider-logout.ts'
import type { Provider } from '../identity/providers.ts'
import { WAY_LIFETIME } from '../identity/upstream.ts'
import { openVisit, type Visit } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { transact } from '../lib/transact.ts'
import { newId, ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { claimValue, valuesOf } from './claims.ts'
import { checkAnswer, extraOf, hear, RELAYED } from './hear.ts'
import { ProviderError } from './provider-error.ts'
import { openSecrets, type ProviderSaid, stateHash, turnBack } from './way.ts'

/** GET and POST /upstream/callback/{id}: the answer of a provider (reference flows 4.3). */
async function answered(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const provider = await deps.upstream.providerNow(id)
  if (!provider) throw new NotFound()
  const post = request.method === 'POST'
  if (provider.response_mode === (post ? 'query' : 'form_post')) throw new PageError('bad_request', 405)
  const params = post ? await readPageForm(request) : readPageQuery(request)
  if (post && isWithoutCookies(deps, request)) return relay(deps, request, provider, params)
  const visit = await openVisit(deps, request)
  const way = await claim(deps, visit, provider, params.state ?? '')
  if (!way) throw new PageError('upstream_gone', 400)
  try {
    const { code } = checkAnswer(provider, params, (await deps.upstream.metadata.of(provider)).namesItself)
    const linkId = await meet(deps, provider, way, code, extraOf(params))
    deps.metrics.upstreamCallbacks.add(provider.id, 'success')
    return redirect(deps.urls.path(`/upstream/link/${ulidFromUuid(linkId)}`), visit.browser.cookies)
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    deps.metrics.upstreamCallbacks.add(provider.id, 'failure')
    deps.log.warn('upstream.failed', { provider_id: provider.id, error })
    return turnBack(deps, visit, storedContinuation(way.continuation), error.problem, provider)
  }
}

/**
 * A form that another site sends comes without our cookies, which are for our own pages alone (SameSite=Lax). A page of
 * ours sends it on, once; it sets no cookie, or it would take the place of the one that is missing here.
 */
const isWithoutCookies = (deps: Pick<Deps, 'urls'>, request: Request): boolean =>
  readCookie(deps.urls, request, 'browser') === undefined

function relay(deps: Deps, request: Request, provider: Provider, params: Params): Response {
  if (params[RELAYED] !== undefined) throw new PageError('upstream_gone', 400)
  const fields = Object.entries(params).slice(0, 50)
  const context = {
    path: `upstream/callback/${provider.id}`,
    params: [...fields, [RELAYED, 'true'] as [string, string]],
  }
  // It may lead through sign-in and consent to an app, of which nothing is known yet: neither its address nor whether it
  // opened this window.
  return plainPage(deps, request, 'upstream_relay', context, { formAction: false, keepsOpener: true })
}

/** The way that an answer belongs to, claimed: an answer counts once, in the browser and for the provider of the way. */
async function claim(
  deps: Pick<Deps, 'sql' | 'clock'>,
  visit: Visit,
  provider: Provider,
  state: string,
): Promise<UpstreamSessionRow | undefined> {
  const now = deps.clock.now()
  const [way] = await claimUpstreamSession(deps.sql, {
    stateHash: stateHash(state),
    providerId: uuidFromUlid(provider.id) ?? '',
    browserHash: browserHash(visit.browser),
    since: addSeconds(now, -WAY_LIFETIME),
    now,
  })
  return way
}

/** Exchanges the code, hears who it is, and notes it; gives the id of the link. @throws ProviderError */
async function meet(
  deps: Deps,
  provider: Provider,
  way: UpstreamSessionRow,
  code: string,
  extra: Record<string, string>,
): Promise<string> {
  const secrets = await openSecrets(deps, way)
  if (!secrets)
    throw new ProviderError('failed', 'the secrets of the way are sealed under a key that is gone')
  const { said, idToken } = await hear(deps, provider, secrets, code, extra)
  return note(deps, provider, way, said, idToken)
}

/** Bytes that a subject may have: it is an index. */
const SUBJECT_LIMIT = 1000

async function note(
  deps: Deps,
  provider: Provider,
  way: UpstreamSessionRow,
  said: ProviderSaid,
  idToken: string | undefined,
): Promise<string> {
  const values = valuesOf(said)
  const subject = claimValue(deps, provider, 'subject', provider.claims_imports.subject.template, values)
  if (subject === undefined || subject.length > SUBJECT_LIMIT)
    throw new ProviderError('failed', 'there is no subject')
  const { template } = provider.claims_imports.account_name
  const accountName =
    template === undefined ? undefined : claimValue(deps, provider, 'account_name', template, values)
  const now = deps.clock.now()
  // The database stores no such character.
  if (JSON.stringify({ said, accountName, subject }).includes('\\u0000'))
    throw new ProviderError('failed', 'the provider says a NUL character')
  const sealedIdToken = idToken === undefined ? null : await sealIdToken(deps, way.id, idToken)
  return transact(deps.sql, async (tx) => {
    const [link] = await meetUpstreamLink(tx, {
      id: newId(now, deps.random),
      providerId: way.provider_id,
      subject,
      accountName: accountName?.slice(0, 255) ?? null,
      now,
    })
    if (!link) throw new Error('a link was neither found nor made')
    await completeUpstreamSession(tx, way.id, {
      linkId: link.id,
      answer: said as unknown as Json,
      subject: textOf(said.id_token_claims?.sub),
      sid: textOf(said.id_token_claims?.sid),
      sealedIdToken,
      now,
    })
    return link.id
  })
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)

export const upstreamCallbackRoutes = (deps: Deps): Route[] =>
  (['GET', 'POST'] as const).map((method) => ({
    method,
    path: '/upstream/callback/{id}',
    handle: (request, params) => answered(deps, request, params),
  }))
