import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  authorizeUrl,
  obtainCode,
  registerClient,
  signedInApp,
  signUp,
  staticClient,
  WEB_CLIENT,
} from '../support/oauth.ts'

const NOWHERE = { referer: '' }

let harness: Harness
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  ;({ client_id: clientId } = await registerClient(harness))
})
afterAll(() => harness.close())

/** What a request that can only fail is answered with. */
const ask = (
  id: string,
  params: Record<string, string>,
  headers: Record<string, string> = NOWHERE,
): Promise<Response> => harness.request(authorizeUrl(id, params), { headers })

const location = (response: Response) => response.headers.get('location') ?? ''

describe('an error leads to the address of a client that registered itself only with a click (RFC 9700 4.11.2)', () => {
  test.each([
    ['prompt=none without a session', { prompt: 'none' }],
    ['a parameter of the wrong form', { max_age: 'soon' }],
    ['a scope that is none', { scope: '"' }],
    ['no PKCE', { code_challenge: '', code_challenge_method: '' }],
  ])('%s', async (_, params) => {
    const response = await ask(clientId, params)
    expect([response.status, location(response)]).toEqual([400, ''])
    const text = (await response.text()).replace(/^[\s\S]*<main/, '').replace(/<\/main[\s\S]*/, '')
    expect(text).toContain('This sign-in cannot go on')
    // By its host: the name is what a stranger wrote.
    expect(text).toContain('Go back to app.example.com')
    expect(text).toMatch(/href="https:\/\/app\.example\.com\/callback\?[^"]*error=/)
    expect(response.headers.get('refresh')).toBeNull()
  })

  test('what a form would have to bring has no way back', async () => {
    const response = await ask(clientId, { prompt: 'none', response_mode: 'form_post' })
    expect(response.status).toBe(400)
    expect(await response.text()).not.toContain('app.example.com')
  })

  test('who comes from that very site goes back there', async () => {
    for (const headers of [
      { referer: 'https://app.example.com/' },
      { referer: 'https://app.example.com/rooms?a=b' },
      { referer: '', origin: 'https://app.example.com' },
    ])
      expect(location(await ask(clientId, { prompt: 'none' }, headers))).toContain('error=login_required')
    for (const headers of [
      { referer: 'https://app.example.com.evil.example/' },
      { referer: 'http://app.example.com/' },
      { referer: 'https://evil.example/https://app.example.com/' },
      { referer: 'nonsense' },
      { referer: '', origin: 'null' },
    ])
      expect((await ask(clientId, { prompt: 'none' }, headers)).status).toBe(400)
  })

  test('inside of a frame nobody is led anywhere', async () => {
    const headers = { referer: '', 'sec-fetch-dest': 'iframe', 'sec-fetch-site': 'cross-site' }
    expect(location(await ask(clientId, { prompt: 'none' }, headers))).toContain('error=login_required')
  })

  test('an app of this device is no site', async () => {
    const { client_id: native } = await registerClient(harness, {
      ...WEB_CLIENT,
      application_type: 'native',
      redirect_uris: ['com.example.app:/callback', 'http://127.0.0.1/callback'],
    })
    for (const redirect_uri of ['com.example.app:/callback', 'http://127.0.0.1:4711/callback'])
      expect(location(await ask(native, { prompt: 'none', redirect_uri }))).toContain('error=login_required')
  })

  test('a client of the configuration is the operator’s own', async () => {
    const own = await staticClient(harness, ['https://app.example.com/callback'])
    const response = await ask(own.client_id, { prompt: 'none' })
    expect(location(response)).toContain('error=login_required')
  })

  test('who agreed to something of the client before goes back at once, and nobody else', async () => {
    const { browser, clientId: known } = await signedInApp(harness, 'alice')
    const open = ({ cookies }: Browser) =>
      ask(
        known,
        { prompt: 'none' },
        { ...NOWHERE, cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
      )
    expect(location(await open(browser))).toMatch(/[?&](error|code)=/)
    const stranger = harness.browser()
    await signUp(stranger, 'bob')
    expect((await open(stranger)).status).toBe(400)
    await obtainCode(stranger, known)
    expect(location(await open(stranger))).toMatch(/[?&](error|code)=/)
  })
})
