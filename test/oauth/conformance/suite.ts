import { expect } from 'bun:test'
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import { syncClients } from '../../../src/commands/static-clients.ts'
import { type Browser, type Page, readForms } from '../../support/browser.ts'
import { selfSigned } from '../../support/certificate.ts'
import { type ClientKey, clientKey } from '../../support/client-keys.ts'
import { createHarness, type Harness } from '../../support/harness.ts'
import { basic, PASSWORD, signUp, type TokenBody } from '../../support/oauth.ts'
import type { Variant } from './plans.ts'

/** Where the suite would receive answers and people who signed out. */
export const CALLBACK = 'https://suite.example.com/test/a/latchkey/callback'
export const SIGNED_OUT = 'https://suite.example.com/test/a/latchkey/post_logout_redirect'
export const ISSUER = 'https://auth.example.com/'
const PERSON = 'buffy'
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Clients of the configuration, as the plans for `static_client` ask for them. */
const BASIC_ID = '01J00000000000000000000001'
const SECOND_ID = '01J00000000000000000000002'
const POST_ID = '01J00000000000000000000003'
const LOGOUT_ID = '01J00000000000000000000004'
const SECRET = 'the secret of a configured client'

/** A deployment as it is configured for certification (docs/operations.md), and a client’s own server on `https`. */
export interface Suite {
  harness: Harness
  /** What the client’s server answers, by path. */
  served: Map<string, () => Response>
  /** Requests that the client’s server got: path and form. */
  received: { path: string; body: URLSearchParams }[]
  /** An address on the client’s server. */
  address(path: string): string
  close(): Promise<void>
}

/** A client of the suite. */
export interface RelyingParty {
  id: string
  redirectUri: string
  mode: Variant['mode']
  key?: ClientKey
  /** What authenticates a request at the token endpoint. */
  credentials(): Promise<{ fields?: Record<string, string>; headers?: Record<string, string> }>
}

/** An answer that reached the client, and what the person saw on the way to it. */
export interface Answer {
  params: URLSearchParams
  pages: Page[]
}

export async function startSuite(): Promise<Suite> {
  const { cert, key } = await selfSigned('localhost')
  const served: Suite['served'] = new Map()
  const received: Suite['received'] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    async fetch(request) {
      const path = new URL(request.url).pathname
      received.push({ path, body: new URLSearchParams(await request.text()) })
      return served.get(path)?.() ?? new Response(null, { status: 404 })
    },
  })
  const address = (path: string): string => `https://localhost:${server.port}${path}`
  const one = (id: string, method: 'client_secret_basic' | 'client_secret_post', more: object = {}) => ({
    client_id: id,
    client_auth_method: method,
    client_name: `Suite ${id.slice(-1)}`,
    client_secret: SECRET,
    redirect_uris: [CALLBACK],
    post_logout_redirect_uris: [SIGNED_OUT],
    ...more,
  })
  const harness = await createHarness({
    clientAuthority: cert,
    config: {
      http: { public_base: ISSUER },
      clients: [
        one(BASIC_ID, 'client_secret_basic'),
        one(SECOND_ID, 'client_secret_basic'),
        one(POST_ID, 'client_secret_post'),
        one(LOGOUT_ID, 'client_secret_basic', { backchannel_logout_uri: address('/backchannel_logout') }),
      ],
      oauth: { implicit_flow: true },
      policy: { data: { client_registration: { allow_missing_client_uri: true } } },
    },
  })
  await syncClients(harness.deps)
  await signUp(harness.browser(), PERSON)
  await harness.database.sql`
    insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
    select gen_random_uuid(), id, 'buffy@example.com', 'buffy@example.com', now() from latchkey.users
    where username = ${PERSON}`
  return {
    harness,
    served,
    received,
    address,
    async close() {
      await server.stop(true)
      await harness.close()
    },
  }
}

// --- clients

const withSecret = (id: string, mode: Variant['mode'], secret: string): RelyingParty => ({
  id,
  mode,
  redirectUri: CALLBACK,
  credentials: async () => ({ headers: basic(id, secret) }),
})

/** The client that a plan runs its modules with; a dynamic one registers `metadata` now. */
export function relyingParty(suite: Suite, variant: Variant, metadata: object = {}): Promise<RelyingParty> {
  if (variant.client === 'dynamic_client') return registered(suite, variant, metadata)
  return Promise.resolve(withSecret(BASIC_ID, variant.mode, SECRET))
}

/** A second client, of another holder. */
export async function anotherParty(suite: Suite, variant: Variant): Promise<RelyingParty> {
  return variant.client === 'dynamic_client'
    ? registered(suite, variant, { client_name: 'Another' })
    : withSecret(SECOND_ID, variant.mode, SECRET)
}

export const logoutParty = (): RelyingParty => withSecret(LOGOUT_ID, 'default', SECRET)

export const postParty = ({ mode }: Variant): RelyingParty => ({
  ...withSecret(POST_ID, mode, SECRET),
  credentials: async () => ({ fields: { client_id: POST_ID, client_secret: SECRET } }),
})

let registrations = 0

/** What the suite registers: nothing but what a plan needs, no `client_uri`. Gives the status and what was answered. */
export async function register(
  suite: Suite,
  metadata: object,
): Promise<{ status: number; type: string | null; body: Record<string, unknown> }> {
  const response = await suite.harness.request('/oauth2/registration', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: `Registered ${++registrations}`,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: [CALLBACK],
      contacts: ['certification@example.com'],
      ...metadata,
    }),
  })
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: (await response.json()) as Record<string, unknown>,
  }
}

/** Registers a client; one with `private_key_jwt` has a key without `kid`, unless it publishes it at `jwks_uri`. */
export async function registered(suite: Suite, variant: Variant, metadata: object): Promise<RelyingParty> {
  const published = 'jwks_uri' in metadata
  const key = await clientKey('RS256', published ? 'client-key' : '')
  const { status, body } = await register(suite, {
    token_endpoint_auth_method: variant.auth,
    ...(!published && { jwks: { keys: [key.jwk] } }),
    ...metadata,
  })
  expect([status, body.error_description]).toEqual([201, undefined])
  const id = String(body.client_id)
  const [redirectUri = CALLBACK] = (body.redirect_uris ?? []) as string[]
  const party = { id, mode: variant.mode, redirectUri, key }
  if (typeof body.client_secret === 'string') {
    const { client_secret: secret } = body
    return { ...party, credentials: async () => ({ headers: basic(id, secret) }) }
  }
  return { ...party, credentials: async () => ({ fields: await assertion(suite, id, key) }) }
}

/** RFC 7523: a client assertion for `aud`, the token endpoint otherwise. */
export async function assertion(
  { harness }: Suite,
  id: string,
  key: ClientKey,
  aud = `${ISSUER}oauth2/token`,
): Promise<Record<string, string>> {
  const iat = seconds(harness)
  const claims = { iss: id, sub: id, aud, iat, exp: iat + 60, jti: `assertion-${++registrations}` }
  return { client_assertion_type: JWT_BEARER, client_assertion: await key.sign(claims) }
}

export const seconds = ({ clock }: Harness): number => Math.floor(clock.now().getTime() / 1000)

// --- the authorization endpoint

/** Parameters as the suite sends them, fresh `state` and `nonce` in each; undefined leaves one out. */
export function requestOf(
  party: RelyingParty,
  params: Record<string, string | undefined> = {},
): Record<string, string> {
  const all: Record<string, string | undefined> = {
    client_id: party.id,
    redirect_uri: party.redirectUri,
    scope: 'openid',
    state: `state-${++registrations}`,
    nonce: `nonce-${registrations}`,
    response_type: 'code',
    ...(party.mode === 'form_post' && { response_mode: 'form_post' }),
    ...params,
  }
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

/** Sends a person with a request to us; gives the first page that they see, or the answer. */
export const openRequest = (browser: Browser, request: Record<string, string>): Promise<Page> =>
  browser.open(`/authorize?${new URLSearchParams(request)}`)

/** The answer that a page is, if it is one; checked for how it came (OAuth 2.0 Form Post Response Mode section 2). */
export function answerOn(page: Page, { mode, redirectUri }: RelyingParty): URLSearchParams | undefined {
  const { origin } = new URL(ISSUER)
  if (mode === 'default') {
    if (page.url.origin === origin) return undefined
    expect(page.url.href.split('?')[0]).toBe(redirectUri.split('?')[0] ?? '')
    expect(page.url.hash).toBe('')
    return page.url.searchParams
  }
  expect(page.url.origin).toBe(origin)
  const form = readForms(page.text).find(({ action }) => action === redirectUri)
  if (!form) return undefined
  expect(page.status).toBe(200)
  expect(page.headers.get('cache-control')).toBe('no-store')
  expect(page.text).toMatch(/<form method="post"/)
  return new URLSearchParams(form.hidden)
}

/** Signs in and consents where a page asks for it, until the answer is there. */
export async function proceed(party: RelyingParty, first: Page): Promise<Answer> {
  const pages: Page[] = []
  let page = first
  for (let step = 0; step < 4; step++) {
    const params = answerOn(page, party)
    if (params) return { params, pages }
    pages.push(page)
    if (page.url.pathname === '/login')
      page = await page.submit({ username: PERSON, password: PASSWORD }, { action: 'login' })
    else if (page.url.pathname.startsWith('/consent/'))
      page = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    else break
  }
  throw new Error(`no answer at ${page.url}: ${page.status} ${page.text.slice(0, 1500)}`)
}

/** Paths of the pages that a person saw, ids left out. */
export const seen = ({ pages }: Answer): string[] => pages.map(({ url }) => url.pathname.split('/')[1] ?? '')

/** An authorization that must end with a code: `state` and `iss` come back, and nothing unknown. */
export async function authorize(
  browser: Browser,
  party: RelyingParty,
  request: Record<string, string>,
  first?: Page,
): Promise<Answer & { code: string }> {
  const answer = await proceed(party, first ?? (await openRequest(browser, request)))
  const { params } = answer
  expect(params.get('error')).toBeNull()
  expect(params.get('state')).toBe(request.state ?? null)
  expect(params.get('iss')).toBe(ISSUER)
  const registeredNames = [...new URL(party.redirectUri).searchParams.keys()]
  const names = ['code', 'iss', ...registeredNames, ...(request.state === undefined ? [] : ['state'])]
  expect([...params.keys()].sort()).toEqual(names.sort())
  const code = params.get('code') ?? ''
  expect(code.length).toBeGreaterThanOrEqual(22)
  return { ...answer, code }
}

/** An authorization that must end with one of the errors, in its form (RFC 6749 section 4.1.2.1, RFC 9207). */
export async function refuse(
  browser: Browser,
  party: RelyingParty,
  request: Record<string, string>,
  errors: string[],
): Promise<void> {
  const params = answerOn(await openRequest(browser, request), party)
  if (!params) throw new Error('there was a page instead of an answer')
  expect(errors).toContain(params.get('error') ?? '')
  expect(params.get('state')).toBe(request.state ?? null)
  expect(params.get('iss')).toBe(ISSUER)
  expect(params.has('code')).toBe(false)
  expect(params.get('error_description') ?? 'x').toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  const known = ['error', 'error_description', 'error_uri', 'iss', 'state']
  expect([...params.keys()].filter((name) => !known.includes(name))).toEqual([])
}

/** Errors that say that a page would be needed (OpenID Connect Core section 3.1.2.6). */
export const NEEDS_PAGE = [
  'interaction_required',
  'login_required',
  'account_selection_required',
  'consent_required',
]

// --- tokens

/** A request to the token endpoint, authenticated as the client does; `extra` goes over its fields. */
export async function token(
  { harness }: Suite,
  party: RelyingParty,
  fields: Record<string, string>,
): Promise<{ status: number; headers: Headers; body: Partial<TokenBody> & { error?: string } }> {
  const { fields: more = {}, headers = {} } = await party.credentials()
  const response = await harness.form('/oauth2/token', { ...fields, ...more }, headers)
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(response.headers.get('cache-control')).toBe('no-store')
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Partial<TokenBody> & { error?: string },
  }
}

export const codeGrant = (party: RelyingParty, code: string): Record<string, string> => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: party.redirectUri,
})

/** Exchanges a code; the answer is checked (RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3). */
export async function exchangeCode(
  suite: Suite,
  party: RelyingParty,
  code: string,
  extra: Record<string, string> = {},
): Promise<TokenBody & { id_token: string }> {
  const { status, body } = await token(suite, party, { ...codeGrant(party, code), ...extra })
  expect([status, body.error]).toEqual([200, undefined])
  expect(body.token_type?.toLowerCase()).toBe('bearer')
  expect(body.access_token).toMatch(/^[\x20-\x7e]{22,}$/)
  expect(body.expires_in).toBeGreaterThan(0)
  expect(body.id_token).toBeString()
  return body as TokenBody & { id_token: string }
}

/** What every module checks of an ID token (OpenID Connect Core sections 2 and 3.1.3.7); gives its claims. */
export async function checkIdToken(
  { harness }: Suite,
  party: RelyingParty,
  idToken: string,
  request: Record<string, string>,
  alg = 'RS256',
): Promise<JWTPayload> {
  const keys = (await (await harness.request('/oauth2/keys.json')).json()) as JSONWebKeySet
  const { payload, protectedHeader } = await jwtVerify(idToken, createLocalJWKSet(keys), {
    issuer: ISSUER,
    audience: party.id,
    currentDate: harness.clock.now(),
    requiredClaims: ['sub', 'exp', 'iat'],
  })
  expect(protectedHeader.alg).toBe(alg)
  expect(protectedHeader.kid).toBeString()
  expect(payload.nonce).toBe(request.nonce as string)
  expect(payload.sub).toMatch(/^[\x20-\x7e]{1,255}$/)
  return payload
}

/** The whole of a successful sign-in: request, pages, code, tokens, ID token, userinfo. */
export async function signInWith(
  suite: Suite,
  party: RelyingParty,
  params: Record<string, string | undefined> = {},
  browser: Browser = suite.harness.browser(),
) {
  const request = requestOf(party, params)
  const answer = await authorize(browser, party, request)
  const tokens = await exchangeCode(suite, party, answer.code)
  const claims = await checkIdToken(suite, party, tokens.id_token, request)
  const info = await userinfo(suite, tokens.access_token)
  expect(info.sub).toBe(claims.sub as string)
  return { browser, request, answer, tokens, claims, info }
}

/** Userinfo as JSON (OpenID Connect Core section 5.3.2). */
export async function userinfo(
  { harness }: Suite,
  accessToken: string,
): Promise<Record<string, unknown> & { sub: string }> {
  const response = await harness.request('/oauth2/userinfo', {
    headers: { authorization: `Bearer ${accessToken}` },
  })
  return readUserinfo(response)
}

export async function readUserinfo(response: Response): Promise<Record<string, unknown> & { sub: string }> {
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('application/json')
  const body = (await response.json()) as Record<string, unknown> & { sub: string }
  expect(body.sub).toBeString()
  return body
}

/**
 * The rows of a table of tests (`table.ts`) that name none, or one that is not there; names stand between quotes in a
 * file of `test/oauth/`, as that of a test or with holes for those of a group.
 */
export async function missingTests(table: Readonly<Record<string, readonly string[]>>): Promise<string[]> {
  const missing: string[] = []
  for (const [module, tests] of Object.entries(table)) {
    if (tests.length === 0) missing.push(module)
    for (const row of tests) {
      const at = row.indexOf(': ')
      const name = row.slice(at + 2)
      const file = Bun.file(new URL(`../${row.slice(0, at)}.test.ts`, import.meta.url))
      const source = (await file.exists()) ? await file.text() : ''
      if (![`'${name}'`, `"${name}"`, `\`${name}\``].some((quoted) => source.includes(quoted)))
        missing.push(`${module}: ${row}`)
    }
  }
  return missing
}
