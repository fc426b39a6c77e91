import type { Deps } from '../deps.ts'
import { discoveryCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { readPageQuery } from '../http/params.ts'
import { publicJson } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { signUpOffered } from '../identity/providers.ts'
import { servedAcrs } from './acr.ts'
import { SCOPE_CLAIMS } from './authorization/claims.ts'
import { servedResponseTypes } from './authorization/response-type.ts'
import { ASSERTION_ALGORITHMS } from './client-assertion.ts'
import { CLIENT_ALGORITHMS } from './client-jwt.ts'
import { DEVICE_CODE_GRANT, deviceGrantEnabled } from './device.ts'
import { DPOP_ALGORITHMS } from './dpop.ts'
import { publishedKeySet } from './key-set.ts'
import { KEY_SET_LIFETIME } from './keyring.ts'
import { servedScopes } from './served-scopes.ts'

/** Seconds that discovery and keys may be kept: long enough to spare us, short enough for a key rotation. */
const MAX_AGE = KEY_SET_LIFETIME

/** Actions of the account page that clients may link to (MSC4191, with the older names that clients still send). */
const ACCOUNT_ACTIONS = [
  'org.matrix.profile',
  'org.matrix.devices_list',
  'org.matrix.device_view',
  'org.matrix.device_delete',
  'org.matrix.sessions_list',
  'org.matrix.session_view',
  'org.matrix.session_end',
  'org.matrix.cross_signing_reset',
]

/** Every claim of ID tokens and userinfo (OpenID Connect Discovery section 3). How people sign in is told of passwords alone. */
const servedClaims = ({ config }: Pick<Deps, 'config'>): string[] => [
  ...['iss', 'sub', 'aud', 'iat', 'exp', 'nonce', 'auth_time', 'sid', 'at_hash', 'c_hash'],
  ...(servedAcrs({ config }).length > 0 ? ['acr', 'amr'] : []),
  ...['username', ...Object.values(SCOPE_CLAIMS).flat()],
]

/**
 * The discovery document (OpenID Connect Discovery section 3, RFC 8414, reference 2.1). It names only what
 * works here. `issuer` may live elsewhere than the endpoints; Synapse insists on `issuer` and `account_management_uri`.
 */
export function discoveryDocument({
  config,
  urls,
  keys,
  translate,
}: Pick<Deps, 'config' | 'urls' | 'keys' | 'translate'>): object {
  const methods = [
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    'none',
  ]
  const assertionAlgorithms = Object.values(ASSERTION_ALGORITHMS).flat()
  const device = deviceGrantEnabled(config)
  const acrs = servedAcrs({ config })
  return {
    issuer: urls.issuer,
    authorization_endpoint: urls.absolute('/authorize'),
    token_endpoint: urls.absolute('/oauth2/token'),
    jwks_uri: urls.absolute('/oauth2/keys.json'),
    registration_endpoint: urls.absolute('/oauth2/registration'),
    revocation_endpoint: urls.absolute('/oauth2/revoke'),
    introspection_endpoint: urls.absolute('/oauth2/introspect'),
    userinfo_endpoint: urls.absolute('/oauth2/userinfo'),
    end_session_endpoint: urls.absolute('/end-session'),
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
    ...(device && { device_authorization_endpoint: urls.absolute('/oauth2/device') }),
    pushed_authorization_request_endpoint: urls.absolute('/oauth2/par'),
    require_pushed_authorization_requests: false,
    scopes_supported: servedScopes(config),
    response_types_supported: servedResponseTypes({ config }),
    response_modes_supported: ['form_post', 'query', 'fragment'],
    grant_types_supported: [
      'authorization_code',
      'refresh_token',
      'client_credentials',
      ...(config.oauth.implicit_flow ? ['implicit'] : []),
      ...(device ? [DEVICE_CODE_GRANT] : []),
    ],
    token_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_methods_supported: methods.slice(0, -1),
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    introspection_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    code_challenge_methods_supported: ['S256'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: keys.algorithms,
    userinfo_signing_alg_values_supported: keys.algorithms,
    display_values_supported: ['page'],
    claim_types_supported: ['normal'],
    claims_supported: servedClaims({ config }),
    // A list without members is left out (OpenID Connect Discovery section 4.2).
    ...(acrs.length > 0 && { acr_values_supported: acrs }),
    ui_locales_supported: translate.languages,
    claims_parameter_supported: true,
    request_parameter_supported: true,
    request_uri_parameter_supported: true,
    require_request_uri_registration: true,
    request_object_signing_alg_values_supported: CLIENT_ALGORITHMS,
    authorization_response_iss_parameter_supported: true,
    dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
    prompt_values_supported: [
      'none',
      'login',
      'consent',
      'select_account',
      ...(signUpOffered(config) ? ['create'] : []),
    ],
    ...(config.branding.policy_uri !== undefined && { op_policy_uri: config.branding.policy_uri }),
    ...(config.branding.tos_uri !== undefined && { op_tos_uri: config.branding.tos_uri }),
    account_management_uri: urls.absolute('/account/'),
    account_management_actions_supported: [
      ...ACCOUNT_ACTIONS,
      ...(config.account.account_deactivation_allowed ? ['org.matrix.account_deactivate'] : []),
    ],
  }
}

/** WebFinger (RFC 7033) for the issuer relation, which is all that it is used for here (reference 2.2). */
function webfinger(deps: Pick<Deps, 'urls'>, request: Request): Response {
  const { resource } = readPageQuery(request)
  if (resource === undefined)
    throw new OAuthError('invalid_request', { description: 'The parameter resource is missing.' })
  const rel = 'http://openid.net/specs/connect/1.0/issuer'
  const wanted = new URL(request.url).searchParams.getAll('rel')
  const response = publicJson(
    { subject: resource, links: wanted.includes(rel) ? [{ rel, href: deps.urls.issuer }] : [] },
    MAX_AGE,
  )
  response.headers.set('content-type', 'application/jrd+json')
  return response
}

export function discoveryRoutes(deps: Deps): Route[] {
  // Made anew each time, which costs microseconds: while the process runs, keys that `keys rotate` made begin to sign and
  // others go, and providers that the admin API makes offer a sign-up.
  const answer = () => publicJson(discoveryDocument(deps), MAX_AGE)
  const paths = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']
  // RFC 8414 section 3: for an issuer with a path the well-known segment stands before the path (decision 4).
  const issuerPath = new URL(deps.urls.issuer).pathname.replace(/\/+$/, '')
  if (issuerPath !== '') paths.push(`/.well-known/oauth-authorization-server${issuerPath}`)
  return [
    ...paths.map((path): Route => ({ method: 'GET', path, cors: discoveryCors, handle: answer })),
    {
      method: 'GET',
      path: '/.well-known/webfinger',
      cors: discoveryCors,
      handle: (request) => webfinger(deps, request),
    },
  ]
}

export const keyRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/oauth2/keys.json',
    cors: discoveryCors,
    handle: () => publicJson(publishedKeySet(deps.config, deps.keys), MAX_AGE),
  },
]
