/**
 * The test modules of the OpenID Foundation’s certification plans for providers, in the order in which the plans list
 * them, as of August 2026. A reader can hold this beside a plan’s own list; `conformance.test.ts` runs each row.
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
