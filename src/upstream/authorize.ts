import { findRawParameters } from '../../sql/grants.ts'
import type { Deps } from '../deps.ts'
import { readCookie } from '../http/cookies.ts'
import { NotFound } from '../http/errors.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { providerOfAddress } from '../identity/chosen-provider.ts'
import { readContinuation } from '../identity/continuation.ts'
import type { Provider } from '../identity/providers.ts'
import { activeSession, openVisit } from '../identity/visit.ts'
import { base64url } from '../lib/base64url.ts'
import { sha256 } from '../lib/digest.ts'
import { randomString } from '../lib/random.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { signInNeeded } from '../oauth/authorization/sign-in-needed.ts'
import { type Flow, openFlow } from '../oauth/grant-context.ts'
import { callbackUri } from './exchange.ts'
import type { Metadata } from './metadata.ts'
import { ProviderError } from './provider-error.ts'
import { beginWay, turnBack, type WaySecrets } from './way.ts'

/** GET /upstream/authorize/{id}: sends the browser to the provider (reference flows 4.2). */
async function beginAtProvider(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const provider = await deps.upstream.providerNow(id)
  const uuid = uuidFromUlid(id)
  if (!provider || uuid === undefined) throw new NotFound()
  const query = readPageQuery(request)
  const continuation = readContinuation(query)
  const flow = await openFlow(deps, await openVisit(deps, request), continuation)
  const { visit } = flow
  let metadata: Metadata
  try {
    metadata = await deps.upstream.metadata.of(provider)
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    deps.log.warn('upstream.failed', { provider_id: provider.id, error })
    return turnBack(deps, visit, continuation, error.problem, provider)
  }
  const state = randomString(deps.random, 32)
  const secrets = makeSecrets(deps, provider, metadata)
  await beginWay(deps, visit, uuid, state, secrets, continuation)
  const address = addressFor(deps, provider, query.login_hint ?? flow.grant?.login_hint)
  const extra = {
    ...(address !== undefined && { login_hint: address }),
    ...extraParameters(deps, provider, await templateValues(deps, flow, address)),
    ...freshness(flow),
  }
  const url = authorizationUrl(deps, provider, metadata, { state, secrets, extra })
  return redirect(url.href, visit.browser.cookies)
}

/** Where a browser is sent to; what the protocol says goes before `extra` parameters. */
export function authorizationUrl(
  deps: Pick<Deps, 'urls'>,
  provider: Provider,
  { authorizationEndpoint }: Metadata,
  { state, secrets, extra }: { state: string; secrets: WaySecrets; extra: Record<string, string> },
): URL {
  const url = new URL(authorizationEndpoint)
  const parameters = {
    ...extra,
    response_type: 'code',
    client_id: provider.client_id,
    redirect_uri: callbackUri(deps, provider),
    scope: provider.scope,
    state,
    ...(provider.response_mode !== undefined && { response_mode: provider.response_mode }),
    ...(secrets.nonce !== undefined && { nonce: secrets.nonce }),
    ...(secrets.verifier !== undefined && {
      code_challenge: base64url(sha256(secrets.verifier)),
      code_challenge_method: 'S256',
    }),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url
}

/** The address that led to this provider (`email_domains`): it need not be typed there again. Nobody else's is told. */
function addressFor(
  deps: Pick<Deps, 'config'>,
  provider: Provider,
  hint: string | null | undefined,
): string | undefined {
  const address = hint?.trim()
  return providerOfAddress(deps, address)?.id === provider.id ? address : undefined
}

/**
 * What templates of parameters see: the request that leads here, with the address that the person typed, and whether
 * somebody just signed out here.
 */
async function templateValues(deps: Deps, { visit, grant }: Flow, address: string | undefined) {
  const [request] = grant ? await findRawParameters(deps.sql, grant.id) : []
  return {
    params: { ...request?.raw_parameters, ...(address !== undefined && { login_hint: address }) },
    logged_out: !activeSession(visit) && readCookie(deps.urls, visit.request, 'left') !== undefined,
  }
}

/**
 * The request on the way wants whoever is signed in to prove it once more, or a sign-in that is not too old: so does the
 * provider, then.
 */
function freshness({ visit, grant }: Flow): { prompt?: 'login'; max_age?: string } {
  const session = activeSession(visit)
  if (!grant || (session && signInNeeded(grant, session) !== 'again')) return {}
  const { authenticated_after: after, created_at } = grant
  if (session) return { prompt: 'login' }
  if (after === null) return {}
  const seconds = Math.round((created_at.getTime() - after.getTime()) / 1000)
  return seconds > 0 ? { max_age: String(seconds) } : { prompt: 'login' }
}

/** A nonce where there is an ID token to hold it, a code verifier where the provider takes one (RFC 7636). */
export function makeSecrets(deps: Pick<Deps, 'random'>, provider: Provider, metadata: Metadata): WaySecrets {
  const pkce = provider.pkce_method === 'always' || (provider.pkce_method === 'auto' && metadata.pkce)
  return {
    ...(isOpenId(provider) && { nonce: randomString(deps.random, 32) }),
    ...(pkce && { verifier: base64url(deps.random.bytes(32)) }),
  }
}

/** Whether an ID token is asked for. */
export const isOpenId = ({ scope }: Provider): boolean => scope.split(/\s+/).includes('openid')

/** `additional_authorization_parameters`: what renders to nothing, or not at all, is left out. */
export function extraParameters(
  deps: Pick<Deps, 'upstream' | 'log'>,
  provider: Provider,
  values: { params: Record<string, string>; logged_out: boolean },
): Record<string, string> {
  const hint = provider.forward_login_hint ? { login_hint: '{{ params.login_hint }}' } : {}
  const given = Object.entries({ ...hint, ...provider.additional_authorization_parameters })
  return Object.fromEntries(
    given.flatMap(([name, template]) => {
      try {
        const value = deps.upstream.templates.render(template, values)
        return value === undefined ? [] : [[name, value]]
      } catch (error) {
        deps.log.warn('upstream.template_failed', { provider_id: provider.id, parameter: name, error })
        return []
      }
    }),
  )
}

export const upstreamAuthorizeRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/upstream/authorize/{id}',
    handle: (request, params) => beginAtProvider(deps, request, params),
  },
]
