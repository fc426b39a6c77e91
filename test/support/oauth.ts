import { type ClientMetadata, upsertStaticClient } from '../../sql/clients.ts'
import { findUserByName } from '../../sql/users.ts'
import { base64url } from '../../src/lib/base64url.ts'
import { sha256 } from '../../src/lib/digest.ts'
import { newId, ulidFromUuid } from '../../src/lib/ulid.ts'
import { sealClientSecret } from '../../src/oauth/client-secret.ts'
import type { Browser } from './browser.ts'
import type { Harness } from './harness.ts'

export const PASSWORD = 'correct horse battery staple 42'
export const API_SCOPE = 'urn:matrix:client:api:*'
export const deviceScope = (id: string): string => `urn:matrix:client:device:${id}`
export const MATRIX_SCOPE = `openid ${API_SCOPE} ${deviceScope('AAAAAAAAAA')}`

/** Metadata as Element Web sends it. */
export const WEB_CLIENT = {
  client_name: 'Test App',
  client_uri: 'https://app.example.com/',
  redirect_uris: ['https://app.example.com/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
  application_type: 'web',
}

export interface TokenBody {
  access_token: string
  refresh_token: string
  id_token?: string
  expires_in: number
  scope: string
  token_type: string
}

/** Registers a client; gives its id and, if it has one, its secret. */
export async function registerClient(
  harness: Pick<Harness, 'request'>,
  metadata: object = WEB_CLIENT,
): Promise<{ client_id: string; client_secret?: string }> {
  const response = await harness.request('/oauth2/registration', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(metadata),
  })
  if (response.status !== 201) throw new Error(`registration: ${response.status} ${await response.text()}`)
  return (await response.json()) as { client_id: string }
}

/** A PKCE pair. */
export function pkce(verifier = 'v'.repeat(43)): { verifier: string; challenge: string } {
  return { verifier, challenge: base64url(sha256(verifier)) }
}

/** Somebody with an account, and the browser in which they are signed in. */
export interface Person {
  browser: Browser
  username: string
  userId: string
}

/** Signs somebody up through the pages. */
export async function createSignedUp(
  harness: Harness,
  username: string,
  headers: Record<string, string> = {},
): Promise<Person> {
  const browser = harness.browser(headers)
  await signUp(browser, username)
  const [user] = await findUserByName(harness.deps.sql, username, username)
  return { browser, username, userId: user?.id ?? '' }
}

/** Signs up through the pages and leaves the browser signed in. */
export async function signUp(browser: Browser, username: string, start = '/register'): Promise<URL> {
  const form = await browser.open(start)
  const name = await form.submit(
    { username, password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
  const done = await name.submit(
    { display_name: `${username} Example` },
    { action: 'display-name', button: ['action', 'set'] },
  )
  return done.url
}

export const authorizeUrl = (clientId: string, params: Record<string, string> = {}): string =>
  `/authorize?${new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: WEB_CLIENT.redirect_uris[0] ?? '',
    scope: MATRIX_SCOPE,
    state: 'a-state',
    code_challenge: pkce().challenge,
    code_challenge_method: 'S256',
    ...params,
  })}`

/** Consents in a signed-in browser and gives the code. */
export async function obtainCode(
  browser: Browser,
  clientId: string,
  params: Record<string, string> = {},
): Promise<string> {
  const consent = await browser.open(authorizeUrl(clientId, params))
  const answered = consent.url.pathname.includes('/consent/')
    ? await consent.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    : consent
  const code = answered.url.searchParams.get('code')
  if (!code) throw new Error(`no code at ${answered.url}: ${answered.text.slice(0, 1500)}`)
  return code
}

/** Exchanges a code of a public client. */
export async function exchange(
  harness: Pick<Harness, 'form'>,
  clientId: string,
  code: string,
): Promise<TokenBody> {
  const response = await harness.form('/oauth2/token', {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    code_verifier: pkce().verifier,
  })
  if (response.status !== 200) throw new Error(`exchange: ${response.status} ${await response.text()}`)
  return (await response.json()) as TokenBody
}

/** A signed-up person with tokens of a public client. */
export async function signedInApp(
  harness: Harness,
  username: string,
  params: Record<string, string> = {},
): Promise<{ browser: Browser; clientId: string; tokens: TokenBody }> {
  const browser = harness.browser()
  await signUp(browser, username)
  const { client_id: clientId } = await registerClient(harness)
  return {
    browser,
    clientId,
    tokens: await exchange(harness, clientId, await obtainCode(browser, clientId, params)),
  }
}

/** What the homeserver is told about a token. */
export async function introspect(harness: Harness, token: string): Promise<Record<string, unknown>> {
  const response = await harness.form(
    '/oauth2/introspect',
    { token, token_type_hint: 'access_token' },
    { authorization: 'Bearer test-shared-secret-of-matrix', 'x-mas-supports-device-id': '1' },
  )
  return (await response.json()) as Record<string, unknown>
}

/** Adds a client of the configuration with client_secret_basic; its secret is `static-secret`. */
export async function staticClient(
  harness: Harness,
  redirectUris: string[],
  metadata: ClientMetadata = {},
): Promise<{ client_id: string; client_secret: string }> {
  const { clock, random, secrets, sql } = harness.deps
  const id = newId(clock.now(), random)
  await upsertStaticClient(sql, {
    id,
    authMethod: 'client_secret_basic',
    sealedSecret: await sealClientSecret(secrets, id, 'static-secret'),
    redirectUris,
    grantTypes: ['authorization_code', 'refresh_token'],
    metadata,
    now: clock.now(),
  })
  return { client_id: ulidFromUuid(id), client_secret: 'static-secret' }
}

/** An Authorization header for a client (RFC 6749 section 2.3.1). */
export const basic = (clientId: string, secret: string): { authorization: string } => ({
  authorization: `Basic ${btoa(`${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`)}`,
})
