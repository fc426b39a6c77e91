import { findCompatLogin } from '../../sql/compat-logins.ts'
import { findDeviceGrant } from '../../sql/device-grants.ts'
import { findGrant } from '../../sql/grants.ts'
import { findCompletedSession } from '../../sql/upstream-sessions.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { PageError, type RedirectTarget } from '../http/errors.ts'
import { formActionSource } from '../http/headers.ts'
import { noteApp } from '../http/way-back.ts'
import { type Continuation, storedContinuation } from '../identity/continuation.ts'
import { ssoTarget } from '../identity/sso-redirect.ts'
import { inLanguage, type Visit } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { equalBytes } from '../lib/digest.ts'
import type { ClientSummary } from '../render/contexts.ts'

export type GrantWithClient = Awaited<ReturnType<typeof findGrant>>[number]

/** Seconds that a person has from the app to the consent: a sign-up may lie in between. */
export const GRANT_LIFETIME = 3600

/**
 * A request that a page may still answer: pending, and bound to the browser that began it (reference edge 8).
 *
 * @throws PageError when it is unknown, over, or another browser's
 */
export function assertPending(
  deps: Pick<Deps, 'clock'>,
  visit: Visit,
  grant: GrantWithClient | undefined,
): GrantWithClient {
  if (!grant || addSeconds(grant.created_at, GRANT_LIFETIME) <= deps.clock.now())
    throw new PageError('grant_not_found', 404)
  if (!isOfBrowser(visit, grant)) throw new PageError('grant_other_browser', 403)
  if (grant.fulfilled_at || grant.cancelled_at) throw new PageError('grant_not_pending', 409)
  return grant
}

/** Whether a request began in the browser of a visit: in another one it says nothing, and leads nowhere. */
const isOfBrowser = ({ browser }: Visit, grant: Pick<GrantWithClient, 'browser_hash'>): boolean =>
  equalBytes(grant.browser_hash, browserHash(browser))

/** Notes the app that a request of this browser came from: what stops the person from here on leads back to it. */
export function noteAppOf(visit: Visit, grant: GrantWithClient): void {
  if (!isOfBrowser(visit, grant)) return
  const { client_uri } = grant.client_metadata
  noteApp(visit.request, {
    name: clientSummary(grant).name,
    // One answer for one request: an app that has got it is not sent another.
    ...(!grant.fulfilled_at && !grant.cancelled_at && { target: targetOf(grant) }),
    ...(hostOf(client_uri) !== undefined && { site: client_uri }),
  })
}

/** Where the answer of a stored request goes. */
export const targetOf = (grant: GrantWithClient): RedirectTarget => ({
  redirectUri: grant.redirect_uri,
  responseMode: grant.response_mode as RedirectTarget['responseMode'],
  state: grant.state ?? undefined,
})

/** A visit on the way to the answer of an authorization request, and what its pages say about that request. */
export interface Flow {
  /** In the language of the request (`ui_locales`), if it has one. */
  visit: Visit
  client?: ClientSummary
  formAction: string[]
  images: (string | undefined)[]
  grant?: GrantWithClient
}

/** What sign-in and sign-up pages know of the request that they lead to; nothing when there is none, or no longer. */
export async function openFlow(
  deps: Pick<Deps, 'sql'>,
  visit: Visit,
  {
    grantId,
    deviceGrantId,
    compatLoginId,
    upstreamLinkId,
  }: Pick<Continuation, 'grantId' | 'deviceGrantId' | 'compatLoginId' | 'upstreamLinkId'>,
): Promise<Flow> {
  if (upstreamLinkId !== undefined) return openLinkFlow(deps, visit, upstreamLinkId)
  if (compatLoginId !== undefined) return openCompatFlow(deps, visit, compatLoginId)
  if (deviceGrantId !== undefined) return openDeviceFlow(deps, visit, deviceGrantId)
  const [grant] = grantId === undefined ? [] : await findGrant(deps.sql, grantId)
  if (!grant || !isOfBrowser(visit, grant)) return { visit, formAction: [], images: [] }
  noteAppOf(visit, grant)
  return {
    visit: inLanguageOf(visit, grant),
    client: clientSummary(grant),
    // The browser follows our POST through the consent to the client (decision 1).
    formAction: [formActionSource(grant.redirect_uri)],
    images: [grant.client_metadata.logo_uri],
    grant,
  }
}

/** An identity that waits for its owner to sign in: what comes after that is what they set out for to the provider. */
async function openLinkFlow(deps: Pick<Deps, 'sql'>, visit: Visit, linkId: string): Promise<Flow> {
  const [way] = await findCompletedSession(deps.sql, linkId, browserHash(visit.browser), EVER)
  const { upstreamLinkId: _, ...continuation } = storedContinuation(way?.continuation ?? '')
  return openFlow(deps, visit, continuation)
}

const EVER = new Date(0)

/** A device's request, in the browser that its code was typed into: the device waits elsewhere, so no form leaves us. */
async function openDeviceFlow(deps: Pick<Deps, 'sql'>, visit: Visit, id: string): Promise<Flow> {
  const [grant] = await findDeviceGrant(deps.sql, id)
  const isOurs = grant?.browser_hash && equalBytes(grant.browser_hash, browserHash(visit.browser))
  if (!isOurs) return { visit, formAction: [], images: [] }
  return { visit, client: clientSummary(grant), formAction: [], images: [grant.client_metadata.logo_uri] }
}

/** The login of a legacy client, of which no more is known than where it leads. Our own page comes before that. */
async function openCompatFlow(deps: Pick<Deps, 'sql'>, visit: Visit, id: string): Promise<Flow> {
  const [login] = await findCompatLogin(deps.sql, id)
  const client = login && { name: ssoTarget(login.redirect_uri).target }
  return { visit, ...(client && { client }), formAction: [], images: [] }
}

/** The pages on the way to a request's answer are in its language (`ui_locales`), unless the person chose another. */
export const inLanguageOf = (visit: Visit, grant: GrantWithClient): Visit =>
  inLanguage(visit, visit.languageChosen ? visit.lang : (grant.locale ?? visit.lang))

/** The client of a request as pages show it. */
export function clientSummary(
  grant: Pick<GrantWithClient, 'client_metadata'> & { redirect_uri?: string },
): ClientSummary {
  const { client_name, client_uri, logo_uri, policy_uri, tos_uri } = grant.client_metadata
  const host = hostOf(client_uri)
  return {
    name: client_name ?? host ?? hostOf(grant.redirect_uri) ?? 'App',
    ...(host !== undefined && { host }),
    ...(logo_uri !== undefined && { logo_uri }),
    ...(policy_uri !== undefined && { policy_uri }),
    ...(tos_uri !== undefined && { tos_uri }),
  }
}

/** The host of a web address; undefined for anything else. */
export const hostOf = (uri: string | undefined): string | undefined =>
  uri !== undefined && /^https?:/.test(uri) && URL.canParse(uri) ? new URL(uri).host : undefined
