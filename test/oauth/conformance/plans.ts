/**
 * The test modules of the OpenID Foundation’s certification plans for providers, in the order in which the plans list
 * them, as of the suite’s revision 12f2a4da (20 August 2026). A reader can hold this beside a plan’s own list; `conformance.test.ts` runs each row.
 */

const CONFIG = ['oidcc-discovery-endpoint-verification']

const BASIC = [
  'oidcc-server',
  'oidcc-response-type-missing',
  'oidcc-idtoken-signature',
  'oidcc-idtoken-unsigned',
  'oidcc-userinfo-get',
  'oidcc-userinfo-post-header',
  'oidcc-userinfo-post-body',
  'oidcc-ensure-request-without-nonce-succeeds-for-code-flow',
  'oidcc-scope-profile',
  'oidcc-scope-email',
  'oidcc-scope-address',
  'oidcc-scope-phone',
  'oidcc-scope-all',
  'oidcc-alternate-happy-flow',
  'oidcc-display-page',
  'oidcc-display-popup',
  'oidcc-prompt-login',
  'oidcc-prompt-none-not-logged-in',
  'oidcc-prompt-none-logged-in',
  'oidcc-max-age-1',
  'oidcc-max-age-10000',
  'oidcc-ensure-request-with-unknown-parameter-succeeds',
  'oidcc-id-token-hint',
  'oidcc-login-hint',
  'oidcc-ui-locales',
  'oidcc-claims-locales',
  'oidcc-ensure-request-with-acr-values-succeeds',
  'oidcc-codereuse',
  'oidcc-codereuse-30seconds',
  'oidcc-ensure-registered-redirect-uri',
  'oidcc-ensure-post-request-succeeds',
  'oidcc-server-client-secret-post',
  'oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported',
  'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported',
  'oidcc-claims-essential',
  'oidcc-ensure-request-object-with-redirect-uri',
  'oidcc-refresh-token',
  'oidcc-ensure-request-with-valid-pkce-succeeds',
]

const DYNAMIC = [
  'oidcc-idtoken-rs256',
  'oidcc-idtoken-unsigned',
  'oidcc-userinfo-rs256',
  'oidcc-ensure-redirect-uri-in-authorization-request',
  'oidcc-redirect-uri-query-OK',
  'oidcc-redirect-uri-query-mismatch',
  'oidcc-redirect-uri-query-added',
  'oidcc-redirect-uri-regfrag',
  'oidcc-discovery-endpoint-verification',
  'oidcc-server',
  'oidcc-registration-logo-uri',
  'oidcc-registration-policy-uri',
  'oidcc-registration-tos-uri',
  'oidcc-registration-jwks-uri',
  'oidcc-registration-sector-uri',
  'oidcc-registration-sector-bad',
  'oidcc-server-rotate-keys',
  'oidcc-refresh-token-rp-key-rotation',
  'oidcc-request-uri-unsigned',
  'oidcc-request-uri-signed-rs256',
  'oidcc-ensure-request-object-with-redirect-uri',
  'oidcc-refresh-token',
  'oidcc-ensure-client-assertion-with-iss-aud-succeeds',
]

const RP_INITIATED_LOGOUT = [
  'oidcc-rp-initiated-logout-discovery-endpoint-verification',
  'oidcc-rp-initiated-logout',
  'oidcc-rp-initiated-logout-bad-post-logout-redirect-uri',
  'oidcc-rp-initiated-logout-modified-id-token-hint',
  'oidcc-rp-initiated-logout-no-id-token-hint',
  'oidcc-rp-initiated-logout-no-params',
  'oidcc-rp-initiated-logout-no-post-logout-redirect-uri',
  'oidcc-rp-initiated-logout-no-state',
  'oidcc-rp-initiated-logout-only-state',
  'oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri',
  'oidcc-rp-initiated-logout-bad-id-token-hint',
]

const BACKCHANNEL_LOGOUT = [
  'oidcc-backchannel-logout-discovery-endpoint-verification',
  'oidcc-backchannel-rp-initiated-logout',
]

/** Left out of the names of the modules of FAPI 2.0. */
export const FAPI2_PREFIX = 'fapi2-security-profile-final-'

/**
 * `fapi2-security-profile-final-test-plan` with `plain_fapi`, `private_key_jwt`, `dpop`, `openid_connect`, `unsigned` and
 * `plain_response`.
 */
export const FAPI2_SECURITY_PROFILE: readonly string[] = [
  'discovery-end-point-verification',
  'happy-flow',
  'user-rejects-authentication',
  'ensure-authorization-request-without-state-success',
  'ensure-authorization-request-without-nonce-success',
  'ensure-authorization-request-with-64-char-nonce-success',
  'ensure-other-scope-order-succeeds',
  'test-claims-parameter-identity-claims',
  'access-token-type-header-case-sensitivity',
  'check-dpop-proof-nbf-exp',
  'ensure-dpopproof-with-iat-10seconds-before-succeeds',
  'ensure-dpopproof-with-iat-10seconds-after-succeeds',
  'ensure-mismatched-dpop-jkt-fails',
  'ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt',
  'ensure-token-endpoint-fails-with-mismatched-dpop-jkt',
  'ensure-dpopproof-at-par-endpoint-binding-success',
  'ensure-dpop-auth-code-binding-success',
  'ensure-different-nonce-inside-and-outside-request-object',
  'ensure-different-state-inside-and-outside-request-object',
  'ensure-authorization-request-with-long-nonce',
  'ensure-authorization-request-with-long-state',
  'state-only-outside-request-object-not-used',
  'ensure-request-object-without-redirect-uri-fails',
  'plain-fapi-tolerate-unregistered-redirect-uri',
  'ensure-unsigned-authorization-request-without-using-par-fails',
  'ensure-redirect-uri-in-authorization-request',
  'ensure-response-type-code-idtoken-fails',
  'ensure-response-type-token-fails',
  'ensure-client-id-in-token-endpoint',
  'ensure-holder-of-key-required',
  'ensure-authorization-code-is-bound-to-client',
  'attempt-reuse-authorization-code-after-one-second',
  'ensure-token-endpoint-fails-with-expired-auth-code',
  'ensure-signed-client-assertion-with-RS256-fails',
  'ensure-client-assertion-in-token-endpoint',
  'ensure-client-assertion-with-exp-is-5-minutes-in-past-fails',
  'ensure-client-assertion-with-wrong-aud-fails',
  'ensure-client-assertion-with-no-sub-fails',
  'dpop-negative-tests',
  'refresh-token',
  'par-ensure-reused-request-uri-prior-to-auth-completion-succeeds',
  'par-attempt-reuse-request_uri',
  'par-attempt-to-use-expired-request_uri',
  'par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted',
  'par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails',
  'par-attempt-to-use-request_uri-for-different-client',
  'par-authorization-request-containing-request_uri-form-param',
  'par-attempt-invalid-http-method',
  'par-ensure-pkce-required',
  'ensure-pkce-code-verifier-required',
  'incorrect-pkce-code-verifier-rejected',
  'par-plain-pkce-rejected',
  'par-without-duplicate-parameters',
  'par-test-array-as-audience-fails',
  'par-test-par-endpoint-url-as-audience-fails',
  'par-test-token-endpoint-url-as-audience-fails',
]

/** Modules of that plan that `plain_fapi` has not, and whose they are. */
export const FAPI2_OTHER_PROFILES: Readonly<Record<string, string>> = {
  'ensure-registered-redirect-uri':
    'plain_fapi has plain-fapi-tolerate-unregistered-redirect-uri in its place',
  'australia-connectid-ensure-invalid-purpose-fails': 'connectid_au',
  'ensure-server-handles-non-matching-intent-id': 'openbanking_uk',
  'test-essential-acr-sca-claim': 'openbanking_uk',
  'brazil-ensure-bad-payment-signature-fails': 'openbanking_brazil',
  'australia-connectid-test-claims-parameter-idtoken-identity-claims': 'connectid_au',
}

/** How a plan runs its modules: how the client registered and authenticates, and how answers come back. */
export interface Variant {
  client: 'static_client' | 'dynamic_client'
  auth: 'client_secret_basic' | 'private_key_jwt'
  mode: 'default' | 'form_post'
}

export interface Plan {
  name: string
  variant: Variant
  modules: readonly string[]
}

/**
 * Silent sign-in (`prompt=none`) needs a client that proves its host or stands in the configuration (decision 10); the
 * suite’s own registrations name no `client_uri`, so the plans with `prompt=none` run with configured clients.
 */
const STATIC: Variant = { client: 'static_client', auth: 'client_secret_basic', mode: 'default' }
const REGISTERED: Variant = { client: 'dynamic_client', auth: 'private_key_jwt', mode: 'default' }

export const PLANS: readonly Plan[] = [
  { name: 'Config OP', variant: STATIC, modules: CONFIG },
  { name: 'Basic OP', variant: STATIC, modules: BASIC },
  { name: 'Form Post OP', variant: { ...STATIC, mode: 'form_post' }, modules: BASIC },
  {
    name: 'Dynamic OP',
    variant: REGISTERED,
    modules: DYNAMIC,
  },
  { name: 'RP-Initiated OP', variant: STATIC, modules: RP_INITIATED_LOGOUT },
  { name: 'Back-Channel OP', variant: STATIC, modules: BACKCHANNEL_LOGOUT },
]
