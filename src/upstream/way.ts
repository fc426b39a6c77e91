import {
  findCompletedSession,
  insertUpstreamSession,
  type UpstreamSessionRow,
} from '../../sql/upstream-sessions.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { redirect } from '../http/reply.ts'
import { type Continuation, withContinuation } from '../identity/continuation.ts'
import { type ProviderNotice, providerNoticeCookie } from '../identity/provider-notice.ts'
import type { Provider } from '../identity/providers.ts'
import { WAY_LIFETIME } from '../identity/upstream.ts'
import { activeSession, type Visit } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { isRecord } from '../lib/record.ts'
import { newId } from '../lib/ulid.ts'

/** What only we may know until the answer comes. */
export interface WaySecrets {
  nonce?: string
  verifier?: string
}

/** What a provider said of somebody. */
export interface ProviderSaid {
  id_token_claims?: Record<string, unknown>
  userinfo_claims?: Record<string, unknown>
  /** Parameters of the callback that the protocol does not know. */
  extra_callback_parameters: Record<string, string>
}

const contextOf = (id: string): string => `upstream-session:${id}`

/** `state` is a secret of the browser: the row holds its digest. */
export const stateHash = (state: string): Uint8Array => sha256(`upstream-state\n${state}`)

/** Stores that a browser sets out to a provider. */
export async function beginWay(
  deps: Pick<Deps, 'sql' | 'clock' | 'random' | 'secrets'>,
  visit: Visit,
  providerId: string,
  state: string,
  secrets: WaySecrets,
  continuation: Continuation,
): Promise<void> {
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  await insertUpstreamSession(deps.sql, {
    id,
    providerId,
    browserHash: browserHash(visit.browser),
    stateHash: stateHash(state),
    sealedSecrets: await deps.secrets.seal(JSON.stringify(secrets), contextOf(id)),
    continuation: continuation.text,
    now,
  })
}

/** The secrets of a way; none when the key that they were sealed under is gone. */
export async function openSecrets(
  deps: Pick<Deps, 'secrets'>,
  way: Pick<UpstreamSessionRow, 'id' | 'sealed_secrets'>,
): Promise<WaySecrets | undefined> {
  const text = await deps.secrets.open(way.sealed_secrets, contextOf(way.id))
  return text === undefined ? undefined : (JSON.parse(text) as WaySecrets)
}

/** The way of this browser that led to a link and was not used yet. */
export async function findWay(
  deps: Pick<Deps, 'sql' | 'clock'>,
  visit: Visit,
  linkId: string,
): Promise<(UpstreamSessionRow & { said: ProviderSaid }) | undefined> {
  const since = addSeconds(deps.clock.now(), -WAY_LIFETIME)
  const [way] = await findCompletedSession(deps.sql, linkId, browserHash(visit.browser), since)
  return way && isRecord(way.answer) ? { ...way, said: way.answer as unknown as ProviderSaid } : undefined
}

/** Back to where the person set out from, with a sentence about the provider: sign-in, unless they are signed in. */
export const turnBack = (
  deps: Pick<Deps, 'urls'>,
  visit: Visit,
  continuation: Continuation,
  code: ProviderNotice,
  provider: Provider,
): Response =>
  redirect(
    deps.urls.path(activeSession(visit) ? continuation.path : withContinuation('/login', continuation)),
    [...visit.browser.cookies, providerNoticeCookie(deps, code, provider.id)],
  )
