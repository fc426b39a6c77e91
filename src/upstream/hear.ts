import type { Params } from '../http/params.ts'
import type { Provider } from '../identity/providers.ts'
import { isOpenId } from './authorize.ts'
import { type ExchangeNeeds, exchangeCode } from './exchange.ts'
import { type TokenNeeds, verifyIdToken } from './id-token.ts'
import { ProviderError } from './provider-error.ts'
import { fetchUserinfo } from './userinfo.ts'
import type { ProviderSaid, WaySecrets } from './way.ts'

/** Marks a form that our own page sent once more: its cookies came along. */
export const RELAYED = 'did_mas_repost_to_itself'
/** Parameters of the protocol; everything else is what the provider has to add. */
const KNOWN = new Set([
  'code',
  'state',
  'iss',
  'error',
  'error_description',
  'error_uri',
  'session_state',
  RELAYED,
])

/** Errors of people who know what they do: nothing is wrong then. */
const CANCELLED = new Set([
  'access_denied',
  'user_cancelled_authorize',
  'user_cancelled_login',
  'consent_required',
])

/** The code of an answer. @throws ProviderError for an error, and for the answer of another issuer (RFC 9207) */
export function checkAnswer(
  provider: Provider,
  { iss, error, code }: Params,
  namesItself: boolean,
): { code: string } {
  if (iss !== undefined || namesItself)
    if (provider.issuer !== undefined && iss !== provider.issuer)
      throw new ProviderError('failed', 'the answer comes from another issuer')
  if (error !== undefined) {
    const isAway = error === 'temporarily_unavailable' || error === 'server_error'
    const problem = CANCELLED.has(error) ? 'cancelled' : isAway ? 'unreachable' : 'failed'
    throw new ProviderError(problem, `the provider answered ${error.slice(0, 60)}`)
  }
  if (code === undefined || code === '') throw new ProviderError('failed', 'there is no code in the answer')
  return { code }
}

/** At most so much is kept of what a provider adds: Apple's names of a person are 200 bytes. */
const EXTRA_LIMIT = 4096

/** What a provider adds to its answer. */
export const extraOf = (params: Params): Record<string, string> =>
  Object.fromEntries(
    Object.entries(params).filter(([name, value]) => !KNOWN.has(name) && value.length <= EXTRA_LIMIT),
  )

/** What a provider says of a person, and the tokens that it said it with. */
export interface Heard {
  said: ProviderSaid
  accessToken: string
  idToken: string | undefined
}

/** Exchanges the code of an answer and hears who it is; notes nothing. @throws ProviderError */
export async function hear(
  deps: ExchangeNeeds & TokenNeeds,
  provider: Provider,
  { nonce, verifier }: WaySecrets,
  code: string,
  extra: Record<string, string>,
): Promise<Heard> {
  const { accessToken, idToken } = await exchangeCode(deps, provider, { code, verifier })
  const idClaims =
    idToken === undefined
      ? undefined
      : await verifyIdToken(deps, provider, idToken, { nonce, code, accessToken })
  if (!idClaims && isOpenId(provider)) throw new ProviderError('failed', 'there is no ID token')
  const userinfo = provider.fetch_userinfo ? await fetchUserinfo(deps, provider, accessToken) : undefined
  // OpenID Connect Core section 5.3.2: userinfo of somebody else must not be used.
  if (idClaims && userinfo && userinfo.sub !== idClaims.sub)
    throw new ProviderError('failed', 'userinfo is about somebody else than the ID token')
  const said: ProviderSaid = {
    ...(idClaims && { id_token_claims: idClaims }),
    ...(userinfo && { userinfo_claims: userinfo }),
    extra_callback_parameters: extra,
  }
  return { said, accessToken, idToken }
}
