import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, obtainCode, pkce, registerClient, signUp } from '../support/oauth.ts'

let harness: Harness
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => harness.close())

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const GOOD = ['https://matrix.example.com/', 'https://api.example.com/?a=b', 'urn:example:api']
const BAD = [
  '/relative',
  'example.com',
  'https://a.example/#fragment',
  'https://a.example/#',
  'https://a.example/ b',
]
const withResources = (params: Record<string, string>, resources: string[]): URLSearchParams => {
  const search = new URLSearchParams(params)
  for (const resource of resources) search.append('resource', resource)
  return search
}
const errorOf = async (response: Response): Promise<unknown[]> => [
  response.status,
  ((await response.json()) as { error?: string }).error,
]

describe('resource (RFC 8707 section 2)', () => {
  const authorize = async (resources: string[]): Promise<string | null> => {
    const { searchParams } = new URL(authorizeUrl(clientId, { scope: 'openid' }), harness.origin)
    const search = withResources(Object.fromEntries(searchParams), resources)
    const response = await harness.request(`/authorize?${search}`)
    const url = new URL(response.headers.get('location') ?? '', harness.origin)
    return url.origin === harness.origin ? url.pathname : url.searchParams.get('error')
  }

  test('GET /authorize: one or several URIs are taken, anything else is invalid_target', async () => {
    expect(await authorize([])).toBe('/login')
    expect(await authorize(GOOD)).toBe('/login')
    expect(await authorize(['', 'https://a.example/'])).toBe('/login')
    for (const uri of BAD) {
      expect([uri, await authorize([uri])]).toEqual([uri, 'invalid_target'])
      expect([uri, await authorize([...GOOD, uri])]).toEqual([uri, 'invalid_target'])
    }
  })

  test('POST /oauth2/par: the same', async () => {
    const { searchParams } = new URL(authorizeUrl(clientId, { scope: 'openid' }), harness.origin)
    const push = async (resources: string[]) =>
      errorOf(
        await harness.request('/oauth2/par', {
          method: 'POST',
          headers: FORM,
          body: withResources(Object.fromEntries(searchParams), resources).toString(),
        }),
      )
    expect(await push(GOOD)).toEqual([201, undefined])
    for (const uri of BAD) expect([uri, await push([uri])]).toEqual([uri, [400, 'invalid_target']])
  })

  test('POST /oauth2/token: the same, and the token is what it would be without', async () => {
    const browser = harness.browser()
    await signUp(browser, 'alice')
    const ask = (params: Record<string, string>, resources: string[]) =>
      harness.request('/oauth2/token', {
        method: 'POST',
        headers: FORM,
        body: withResources({ client_id: clientId, ...params }, resources).toString(),
      })
    const code = await obtainCode(browser, clientId, { scope: 'openid' })
    const form = { grant_type: 'authorization_code', code, code_verifier: pkce().verifier }
    for (const uri of BAD) expect(await errorOf(await ask(form, [uri]))).toEqual([400, 'invalid_target'])
    const response = await ask(form, GOOD)
    const body = (await response.json()) as Record<string, string>
    expect([response.status, body.scope, body.token_type]).toEqual([200, 'openid', 'Bearer'])
    const refreshForm = { grant_type: 'refresh_token', refresh_token: body.refresh_token ?? '' }
    expect(await errorOf(await ask(refreshForm, ['x y']))).toEqual([400, 'invalid_target'])
    expect((await ask(refreshForm, GOOD)).status).toBe(200)
  })

  test('every other parameter is refused when it is repeated', async () => {
    const body = `client_id=${clientId}&grant_type=refresh_token&refresh_token=a&refresh_token=b`
    const response = await harness.request('/oauth2/token', { method: 'POST', headers: FORM, body })
    expect(await errorOf(response)).toEqual([400, 'invalid_request'])
  })
})
