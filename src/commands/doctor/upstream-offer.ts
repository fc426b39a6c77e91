import type { Provider } from '../../identity/providers.ts'
import { isOpenId } from '../../upstream/authorize.ts'
import { type Finding, findingsOf, paste, type Remedy } from './finding.ts'

/** What a provider says about itself. */
export type Document = Readonly<Record<string, unknown>>

/** A list of the document; undefined when the provider does not say. */
const listed = (document: Document, name: string): string[] | undefined => {
  const value = document[name]
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : undefined
}

/** Servers are quoted, not at length. */
const quoted = (values: readonly string[]): string =>
  values
    .slice(0, 12)
    .map((value) => value.slice(0, 60))
    .join(', ') || 'nothing'

/** The lines that make a setting of a provider what it has to be. */
const setting = (sentence: string, provider: Provider, line: string): Remedy =>
  paste(sentence, `upstream_oauth2.providers, ${provider.id}`, line)

/** What a provider offers, against what the configuration wants of it: nothing is asked of anybody. */
export const compareOffer = (provider: Provider, document: Document): Finding[] => [
  authMethod(provider, document),
  ...algorithms(provider, document),
  responseMode(provider, document),
  pkce(provider, document),
  ...scopes(provider, document),
  ...logout(provider, document),
]

/** `sign_in_with_apple` is a secret in the form, made anew each time. */
const wireMethod = ({ token_endpoint_auth_method: method }: Provider): string =>
  method === 'sign_in_with_apple' ? 'client_secret_post' : method

function authMethod(provider: Provider, document: Document): Finding {
  const { ok, warning, skipped } = findingsOf('upstream_auth_method', provider.id)
  const offered = listed(document, 'token_endpoint_auth_methods_supported')
  const method = wireMethod(provider)
  if (!offered) return skipped('It does not say how clients prove who they are; upstream_client tries it.')
  if (offered.includes(method)) return ok(`It takes ${method}.`)
  const other = offered.find((one) => ['client_secret_basic', 'client_secret_post'].includes(one))
  return warning(
    `It offers ${quoted(offered)}, and token_endpoint_auth_method is ${provider.token_endpoint_auth_method}.`,
    provider.client_secret !== undefined && other !== undefined
      ? setting('Use a method that it offers:', provider, `token_endpoint_auth_method: ${other}`)
      : { mend: 'Use a method that it offers, unless upstream_client is ok.' },
  )
}

function algorithms(provider: Provider, document: Document): Finding[] {
  const { ok, failed } = findingsOf('upstream_algorithms', provider.id)
  const wanted: [key: 'id_token_signed_response_alg' | 'userinfo_signed_response_alg', list: string][] = [
    ...(isOpenId(provider)
      ? [['id_token_signed_response_alg', 'id_token_signing_alg_values_supported'] as const]
      : []),
    ...(provider.userinfo_signed_response_alg === undefined
      ? []
      : [['userinfo_signed_response_alg', 'userinfo_signing_alg_values_supported'] as const]),
  ].map(([key, list]) => [key, list])
  return wanted.map(([key, list]) => {
    const alg = String(provider[key])
    const offered = listed(document, list)?.filter((one) => one !== 'none')
    if (!offered || offered.includes(alg)) return ok(`${key} is ${alg}${offered ? ', which it offers' : ''}.`)
    return failed(
      `It signs with ${quoted(offered)}, and ${key} is ${alg}: no sign-in works.`,
      setting('Use one that it signs with for this client:', provider, `${key}: ${offered[0] ?? 'RS256'}`),
    )
  })
}

function responseMode(provider: Provider, document: Document): Finding {
  const { ok, failed } = findingsOf('upstream_response_mode', provider.id)
  const types = listed(document, 'response_types_supported')
  if (types && !types.includes('code'))
    return failed(`It offers the response types ${quoted(types)}, and Latchkey needs code.`, {
      mend: 'Turn the authorization code flow on there.',
    })
  const { response_mode: mode } = provider
  // OpenID Connect Discovery 1.0 section 3: the default of the list.
  const offered = listed(document, 'response_modes_supported') ?? ['query', 'fragment']
  if (mode === undefined || offered.includes(mode))
    return ok(`It answers by ${mode ?? 'its default, query'}.`)
  return failed(
    `It answers by ${quoted(offered)}, and response_mode is ${mode}: its answers are not taken.`,
    setting('Leave the key out, or write:', provider, 'response_mode: query'),
  )
}

function pkce(provider: Provider, document: Document): Finding {
  const { ok, warning } = findingsOf('upstream_pkce', provider.id)
  const offers = listed(document, 'code_challenge_methods_supported')?.includes('S256') ?? false
  const { pkce_method: method } = provider
  if (method === 'auto')
    return ok(offers ? 'PKCE is used.' : 'It does not offer PKCE with S256: none is used.')
  if (method === 'always')
    return offers ? ok('PKCE is used.') : warning('PKCE is always used, and it does not offer S256.')
  if (!offers) return ok('It does not offer PKCE, and none is used.')
  return warning(
    'It offers PKCE, and pkce_method is never.',
    setting('Let it protect the codes:', provider, 'pkce_method: auto'),
  )
}

function scopes(provider: Provider, document: Document): Finding[] {
  const offered = listed(document, 'scopes_supported')
  const missing = provider.scope.split(/\s+/).filter((one) => one !== '' && !offered?.includes(one))
  if (!offered || missing.length === 0) return []
  return [
    findingsOf('upstream_scope', provider.id).warning(
      `It does not list ${quoted(missing)}, which scope asks for.`,
      { mend: 'Some list only the standard ones: look at the claims with latchkey upstream try.' },
    ),
  ]
}

function logout(provider: Provider, document: Document): Finding[] {
  const { ok, warning, failed } = findingsOf('upstream_logout', provider.id)
  const found: Finding[] = []
  if (provider.rp_initiated_logout)
    found.push(
      typeof document.end_session_endpoint === 'string'
        ? ok('Who signs out here is signed out there too.')
        : failed('rp_initiated_logout is on, and it names no end_session_endpoint.', {
            mend: 'Leave the key out: signing out here ends nothing there.',
          }),
    )
  if (provider.on_backchannel_logout !== 'do_nothing')
    found.push(
      document.backchannel_logout_supported === true
        ? ok('It tells clients about a logout (back-channel).')
        : warning(
            `on_backchannel_logout is ${provider.on_backchannel_logout}, and it does not say that it tells clients about a logout.`,
            { mend: 'Look there whether it can, and register the address that upstream_registration names.' },
          ),
    )
  return found
}
