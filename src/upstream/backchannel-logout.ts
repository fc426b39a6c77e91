import { listSessionsThrough } from '../../sql/upstream-sessions.ts'
import { insertUsedJwt } from '../../sql/used-jwts.ts'
import type { JwtClaims } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'
import { OAuthError } from '../http/errors.ts'
import { readForm } from '../http/params.ts'
import { empty } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import type { Provider } from '../identity/providers.ts'
import { endBrowserIn } from '../identity/sessions.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { isRecord } from '../lib/record.ts'
import { transact } from '../lib/transact.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { verifyProviderJwt } from './id-token.ts'
import { ProviderError } from './provider-error.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** Seconds after its end that a token is remembered: as long as one with the clock of a provider could be believed. */
const REMEMBERED = 600

/** POST /upstream/backchannel-logout/{id}: a provider says that somebody signed out there (reference flows 4.10). */
async function loggedOut(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const provider = await deps.upstream.providerNow(id)
  const providerId = uuidFromUlid(id)
  if (!provider || providerId === undefined)
    throw new OAuthError('invalid_request', { status: 404, description: 'There is no such provider.' })
  const { logout_token: token } = await readForm(request)
  if (token === undefined)
    throw new OAuthError('invalid_request', { description: 'The parameter logout_token is missing.' })
  const { subject, sid, digest, expiresAt } = await readToken(deps, provider, token)
  await transact(deps.sql, async (tx) => {
    const [first] = await insertUsedJwt(tx, digest, expiresAt)
    if (!first) throw refusal('a logout token came twice')
    const sessions = await listSessionsThrough(tx, providerId, { subject, sid })
    const mode = provider.on_backchannel_logout
    let ended = 0
    if (mode !== 'do_nothing')
      for (const session of sessions)
        if (await endBrowserIn(deps, tx, session.user_id, session.id, { withApps: mode === 'logout_all' }))
          ended++
    deps.log.info('upstream.logged_out', { provider_id: provider.id, mode, found: sessions.length, ended })
  })
  // OpenID Connect Back-Channel Logout 1.0 section 2.8.
  return empty(200)
}

/** The token of section 2.4, checked as section 2.6 says. @throws OAuthError invalid_request */
async function readToken(deps: Deps, provider: Provider, token: string) {
  let claims: JwtClaims
  try {
    const alg = provider.id_token_signed_response_alg
    claims = await verifyProviderJwt(deps, provider, token, alg, ['iat', 'exp', 'jti'])
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    // What can be had later is no mistake of the provider.
    if (error.problem === 'unreachable')
      throw new OAuthError('temporarily_unavailable', { cause: error, retryAfter: 5 })
    throw refusal(error)
  }
  const { events, sub, sid, jti, exp } = claims
  if (!isRecord(events) || !isRecord(events[EVENT])) throw refusal('no logout event')
  // An ID token has one, and must not be good as this.
  if (claims.nonce !== undefined) throw refusal('a nonce')
  const texts = [sub, sid].filter((value) => typeof value === 'string')
  if (texts.length === 0) throw refusal('neither sub nor sid')
  return {
    subject: typeof sub === 'string' ? sub : null,
    sid: typeof sid === 'string' ? sid : null,
    digest: sha256(`upstream-logout\n${provider.id}\n${String(jti)}`),
    expiresAt: addSeconds(new Date(Number(exp) * 1000), REMEMBERED),
  }
}

const refusal = (cause: unknown): OAuthError =>
  new OAuthError('invalid_request', { description: 'The logout token is not valid.', cause })

export const upstreamLogoutRoutes = (deps: Deps): Route[] => [
  {
    method: 'POST',
    path: '/upstream/backchannel-logout/{id}',
    handle: (request, params) => loggedOut(deps, request, params),
  },
]
