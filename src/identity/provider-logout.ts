import { claimLogoutReturn, insertLogoutReturn } from '../../sql/logout-returns.ts'
import { findSealedIdToken } from '../../sql/upstream-sessions.ts'
import type { Deps } from '../deps.ts'
import { type Browser, browserHash } from '../http/browser.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { randomString } from '../lib/random.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { type Provider, providerName } from './providers.ts'

const contextOf = (wayId: string): string => `upstream-id-token:${wayId}`

/** The ID token of a way to a provider, as its row keeps it: what proves there who is to be signed out. */
export const sealIdToken = (deps: Pick<Deps, 'secrets'>, wayId: string, idToken: string): Promise<string> =>
  deps.secrets.seal(idToken, contextOf(wayId))

/** Seconds from here to the provider and back: it may ask whether the person means it. */
const RETURN_LIFETIME = 3600

const stateHash = (state: string): Uint8Array => sha256(`logout-return\n${state}`)

/** Where a browser is sent to be signed out there too, and what the provider is called. */
export interface ProviderLogout {
  url: string
  name: string
}

/**
 * Where a browser is sent to be signed out at the provider too (OpenID Connect RP-Initiated Logout 1.0), if the provider
 * of its session can do that and the operator wants it. It comes back to `/`, the one address that the operator registered
 * there, and from there goes on to `target`, if there is one.
 *
 * A provider that is down holds nobody: it is asked now, whatever it answered before, since the browser would be stranded
 * at an address where nobody answers.
 */
export async function providerLogout(
  deps: Pick<Deps, 'sql' | 'clock' | 'random' | 'secrets' | 'urls' | 'upstream' | 'log'>,
  browser: Browser,
  browserSessionId: string,
  target?: string,
): Promise<ProviderLogout | undefined> {
  const [way] = await findSealedIdToken(deps.sql, browserSessionId)
  const provider = way && deps.upstream.provider(ulidFromUuid(way.provider_id))
  if (!way || !provider?.rp_initiated_logout) return undefined
  const endpoint = await endSessionEndpoint(deps, provider)
  const idToken = await deps.secrets.open(way.sealed_id_token, contextOf(way.id))
  if (!endpoint || idToken === undefined) return undefined
  const url = new URL(endpoint)
  url.searchParams.set('id_token_hint', idToken)
  url.searchParams.set('client_id', provider.client_id)
  url.searchParams.set('post_logout_redirect_uri', deps.urls.base)
  if (target !== undefined) url.searchParams.set('state', await noteLogoutReturn(deps, browser, target))
  return { url: url.href, name: providerName(provider) }
}

async function endSessionEndpoint(
  deps: Pick<Deps, 'upstream' | 'log'>,
  provider: Provider,
): Promise<URL | undefined> {
  try {
    return (await deps.upstream.metadata.now(provider)).endSessionEndpoint
  } catch (error) {
    deps.log.warn('upstream.failed', { provider_id: provider.id, error })
    return undefined
  }
}

/** Notes where a browser goes when it comes back from the sign-out of a provider; gives the `state` that it comes with. */
export async function noteLogoutReturn(
  deps: Pick<Deps, 'sql' | 'clock' | 'random'>,
  browser: Pick<Browser, 'id'>,
  target: string,
): Promise<string> {
  const state = randomString(deps.random, 32)
  const now = deps.clock.now()
  const wanted = { stateHash: stateHash(state), browserHash: browserHash(browser), target, now }
  await insertLogoutReturn(deps.sql, wanted)
  return state
}

/** Where a browser goes that comes back from the sign-out of a provider; once, and in the browser that set out. */
export async function returnFromLogout(
  deps: Pick<Deps, 'sql' | 'clock'>,
  browser: Browser,
  state: string,
): Promise<string | undefined> {
  const since = addSeconds(deps.clock.now(), -RETURN_LIFETIME)
  const came = { stateHash: stateHash(state), browserHash: browserHash(browser), since }
  const [wanted] = await claimLogoutReturn(deps.sql, came)
  return wanted?.target
}
