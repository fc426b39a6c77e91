import type { Requester } from '../http/requester.ts'
import { isBannedRequester, type PolicyRules } from './constraints.ts'
import { REQUESTER_BANNED, type Violation } from './violation.ts'

/** What the policy looks at (reference 7.2, step 6). */
export interface RegistrationInput {
  client_uri?: string
  logo_uri?: string
  policy_uri?: string
  tos_uri?: string
  application_type?: string
  redirect_uris: readonly string[]
  post_logout_redirect_uris?: readonly string[]
  backchannel_logout_uri?: string
  grant_types: readonly string[]
  token_endpoint_auth_method: string
}

/** Hosts of the visitor's own machine (RFC 6761 section 6.3, RFC 1122 section 3.2.1.3). */
const LOCAL_HOST =
  /^(?:(?:.*\.)?localhost\.?|127\.[0-9.]+|0\.0\.0\.0|\[::1?\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\])$/
const LOOPBACK_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]'])
/** Grants whose answer goes to a redirect URI. */
const REDIRECTING = ['authorization_code', 'implicit']

/** The client registration policy (reference 7.2, step 6); empty means: allowed. */
export function checkRegistrationPolicy(
  { data }: PolicyRules,
  client: RegistrationInput,
  requester: Requester,
): Violation[] {
  const relax = data.client_registration ?? {}
  const violations: Violation[] = []
  const metadata = (msg: string) => violations.push({ msg })

  if (client.client_uri === undefined && !relax.allow_missing_client_uri) metadata('client_uri is required')
  for (const field of [
    'client_uri',
    'tos_uri',
    'policy_uri',
    'logo_uri',
    'backchannel_logout_uri',
  ] as const) {
    const uri = client[field]
    if (uri === undefined) continue
    if (!relax.allow_insecure_uris && !isSecure(uri)) metadata(`${field} must be https and not local`)
    // Compared whenever there is something to compare with, whatever else is relaxed (edge 26).
    if (field !== 'client_uri' && !relax.allow_host_mismatch && client.client_uri !== undefined)
      if (!isHostOf(client.client_uri, uri))
        metadata(`${field} must be on the host of client_uri, or below it`)
  }
  if (client.grant_types.includes('client_credentials') && client.token_endpoint_auth_method === 'none')
    metadata('client_credentials needs a client that authenticates')
  if (client.grant_types.some((grant) => REDIRECTING.includes(grant)) && client.redirect_uris.length === 0)
    violations.push({ field: 'redirect_uris', msg: 'redirect_uris must not be empty' })
  for (const uri of client.redirect_uris)
    if (!isAllowedRedirect(uri, client, relax)) violations.push(redirectViolation(uri))
  // People are sent to these too.
  for (const uri of client.post_logout_redirect_uris ?? [])
    if (!isAllowedRedirect(uri, client, relax))
      metadata(`the post_logout_redirect_uri ${uri.slice(0, 200)} is not allowed`)
  if (isBannedRequester(data, requester)) violations.push(REQUESTER_BANNED)
  return violations
}

const redirectViolation = (uri: string): Violation => ({
  redirect_uri: uri,
  msg: `the redirect_uri ${uri.slice(0, 200)} is not allowed`,
})

/** What no rule of an operator may allow: places that a page could run, or that show one host and lead to another. */
export function unsafeTargets(client: RegistrationInput): Violation[] {
  return [
    ...client.redirect_uris.filter(isUnsafeTarget).map(redirectViolation),
    ...(client.post_logout_redirect_uris ?? [])
      .filter(isUnsafeTarget)
      .map((uri) => ({ msg: `the post_logout_redirect_uri ${uri.slice(0, 200)} is not allowed` })),
  ]
}

function isAllowedRedirect(
  uri: string,
  client: RegistrationInput,
  relax: { allow_insecure_uris?: boolean; allow_host_mismatch?: boolean },
): boolean {
  const url = URL.canParse(uri) ? new URL(uri) : undefined
  if (!url || isUnsafeTarget(uri)) return false
  const native = client.application_type === 'native'
  if (url.protocol === 'https:' || url.protocol === 'http:') {
    if (native && url.protocol === 'http:' && LOOPBACK_HOSTS.has(url.hostname)) return true
    if (!relax.allow_insecure_uris && !isSecure(uri)) return false
    return relax.allow_host_mismatch || client.client_uri === undefined || isHostOf(client.client_uri, uri)
  }
  return native && isPrivateScheme(url, uri, client.client_uri, relax.allow_host_mismatch ?? false)
}

/** What a page could run, what the browser opens itself, and what shows one host and leads to another. */
export function isUnsafeTarget(uri: string): boolean {
  if (!URL.canParse(uri)) return true
  const { username, password, protocol } = new URL(uri)
  return username !== '' || password !== '' || /^(javascript|data|file|blob|about):$/.test(protocol)
}

/** RFC 8252 section 7.1: a scheme that is the reversed name of the client's host, and no authority. */
function isPrivateScheme(url: URL, uri: string, clientUri: string | undefined, anyHost: boolean): boolean {
  const scheme = url.protocol.slice(0, -1)
  if (/^[^:]*:\/\//.test(uri) || !scheme.includes('.')) return false
  if (anyHost || clientUri === undefined) return true
  const reversed = new URL(clientUri).hostname.split('.').reverse().join('.')
  return scheme === reversed || scheme.startsWith(`${reversed}.`)
}

function isSecure(uri: string): boolean {
  const url = new URL(uri)
  return url.protocol === 'https:' && !LOCAL_HOST.test(url.hostname)
}

function isHostOf(clientUri: string, uri: string): boolean {
  const home = new URL(clientUri).hostname
  const host = new URL(uri).hostname
  return host === home || host.endsWith(`.${home}`)
}
