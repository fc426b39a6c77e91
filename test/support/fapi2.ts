import { syncClients } from '../../src/commands/static-clients.ts'
import type { Browser } from './browser.ts'
import { type ClientKey, clientKey } from './client-keys.ts'
import { type ProofKey, proofKey } from './dpop.ts'
import { createHarness, type Harness } from './harness.ts'
import { authorizeUrl, pkce, signUp, type TokenBody } from './oauth.ts'

export const ORIGIN = 'https://auth.example.com'
export const ISSUER = `${ORIGIN}/`
export const CALLBACK = 'https://bank.example.com/callback'
export const TOKEN = '/oauth2/token'
export const USERINFO = '/oauth2/userinfo'
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** The clients of the configuration: two under the profile, two with a single rule of it. */
export const FAPI = '01JAYS74TCG3BTWKADN5Q45180'
export const SECOND = '01JAYS74TCG3BTWKADN5Q45183'
export const PUSHING = '01JAYS74TCG3BTWKADN5Q45181'
export const PROVING = '01JAYS74TCG3BTWKADN5Q45182'

export interface Pushed {
  status: number
  request_uri: string
  expires_in: number
  error?: string
}

export interface TokenAnswer {
  status: number
  error: string | undefined
  body: TokenBody
}

/** Parameters of a request; undefined leaves one out. */
export type Changes = Record<string, string | undefined>

/** A Latchkey with clients under the FAPI 2.0 Security Profile, and what such a client does. */
export interface Fapi {
  harness: Harness
  /** alice is signed in. */
  browser: Browser
  key: ClientKey
  /** Without `alg` in its JWK: it could sign with RS256 too. */
  rsa: ClientKey
  secondKey: ClientKey
  /** With `rsa`, in the algorithm that it may not use. */
  signRs256: ClientKey['sign']
  proof: ProofKey
  seconds(): number
  assertion(id?: string, claims?: object, sign?: ClientKey['sign']): Promise<Record<string, string>>
  requestOf(id: string, params?: Changes): Record<string, string>
  push(params?: Changes, id?: string, credentials?: Record<string, string>, dpop?: string): Promise<Pushed>
  /** The address that a pushed request ends at once alice agreed. */
  answered(pushed: Pushed, id?: string): Promise<URL>
  codeFor(params?: Changes, id?: string): Promise<string>
  token(
    form: Record<string, string>,
    options?: { id?: string; dpop?: string | null; credentials?: Record<string, string> },
  ): Promise<TokenAnswer>
  granted(params?: Changes): Promise<TokenBody>
  /** How a direct authorization request is answered: `page <status>`, our path, or the error at the client. */
  direct(params: Record<string, string>): Promise<string>
  /** A call of userinfo with a proof, changed as said. */
  info(token: string, changes?: Parameters<ProofKey['proof']>[2], scheme?: string): Promise<Response>
}

export const codeForm = (code: string): Record<string, string> => ({
  grant_type: 'authorization_code',
  code,
  code_verifier: pkce().verifier,
  redirect_uri: CALLBACK,
})
export const refreshForm = (refresh_token: string) => ({ grant_type: 'refresh_token', refresh_token })

let counter = 0

export async function startFapi(): Promise<Fapi> {
  const [key, rsa, secondKey] = [
    await clientKey('ES256', 'ec'),
    await clientKey('PS256', 'rsa'),
    await clientKey('ES256', 'second'),
  ]
  const { alg: _, ...rsaJwk } = rsa.jwk
  const one = (id: string, more: object = {}) => ({
    client_id: id,
    client_auth_method: 'private_key_jwt' as const,
    client_name: `Client ${id.slice(-1)}`,
    jwks: { keys: [key.jwk, rsaJwk] },
    redirect_uris: [CALLBACK],
    ...more,
  })
  const harness = await createHarness({
    config: {
      http: { public_base: ISSUER },
      clients: [
        one(FAPI, { profile: 'fapi2' }),
        one(SECOND, { profile: 'fapi2', jwks: { keys: [secondKey.jwk] } }),
        one(PUSHING, { require_pushed_authorization_requests: true }),
        one(PROVING, { dpop_bound_access_tokens: true }),
      ],
    },
  })
  await syncClients(harness.deps)
  const proof = await proofKey(harness.clock, 'ES256', ORIGIN)
  const browser = harness.browser()
  await signUp(browser, 'alice')
  const seconds = () => Math.floor(harness.clock.now().getTime() / 1000)

  const fapi: Fapi = {
    harness,
    browser,
    key,
    rsa,
    secondKey,
    signRs256: (claims) => rsa.sign(claims, { alg: 'RS256' }),
    proof,
    seconds,
    async assertion(id = FAPI, claims = {}, sign = id === SECOND ? secondKey.sign : key.sign) {
      const now = seconds()
      const right = { iss: id, sub: id, aud: ISSUER, iat: now, exp: now + 60, jti: `fapi-${++counter}` }
      return { client_assertion_type: JWT_BEARER, client_assertion: await sign({ ...right, ...claims }) }
    },
    requestOf(id, params = {}) {
      const url = new URL(authorizeUrl(id, { scope: 'openid', redirect_uri: CALLBACK }), ORIGIN)
      const all: Changes = { ...Object.fromEntries(url.searchParams), ...params }
      return Object.fromEntries(
        Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined),
      )
    },
    async push(params = {}, id = FAPI, credentials, dpop) {
      const form = { ...fapi.requestOf(id, params), ...(credentials ?? (await fapi.assertion(id))) }
      const response = await harness.form('/oauth2/par', form, dpop === undefined ? {} : { dpop })
      return { status: response.status, ...((await response.json()) as Omit<Pushed, 'status'>) }
    },
    async answered({ request_uri }, id = FAPI) {
      const query = new URLSearchParams({ client_id: id, request_uri })
      const page = await browser.open(`/authorize?${query}`)
      if (!page.url.pathname.includes('/consent/')) return page.url
      return (await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })).url
    },
    async codeFor(params = {}, id = FAPI) {
      const url = await fapi.answered(await fapi.push(params, id), id)
      return url.searchParams.get('code') ?? ''
    },
    async token(form, options = {}) {
      const { id = FAPI, dpop = await proof.proof('POST', TOKEN) } = options
      const credentials = options.credentials ?? (await fapi.assertion(id))
      const headers: Record<string, string> = dpop === null ? {} : { dpop }
      const response = await harness.form(TOKEN, { client_id: id, ...form, ...credentials }, headers)
      const body = (await response.json()) as TokenBody & { error?: string }
      return { status: response.status, error: body.error, body }
    },
    async granted(params = {}) {
      const { status, error, body } = await fapi.token(codeForm(await fapi.codeFor(params)))
      if (status !== 200) throw new Error(`no tokens: ${status} ${error}`)
      return body
    },
    async direct(params) {
      const response = await harness.request(`/authorize?${new URLSearchParams(params)}`)
      if (response.status !== 303) return `page ${response.status}`
      const url = new URL(response.headers.get('location') ?? '', ORIGIN)
      return url.origin === ORIGIN ? url.pathname : (url.searchParams.get('error') ?? '')
    },
    async info(token, changes = {}, scheme = 'DPoP') {
      const dpop = await proof.proof('GET', USERINFO, { token, ...changes })
      return harness.request(USERINFO, { headers: { authorization: `${scheme} ${token}`, dpop } })
    },
  }
  return fapi
}
