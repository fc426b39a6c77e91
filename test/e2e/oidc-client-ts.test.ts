import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import type * as oidc from 'oidc-client-ts'
import type { Page } from 'playwright-core'
import { CHROMIUM_START_MS, consent, signIn, type Visitor } from '../support/chromium.ts'
import { registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'
import { APPLICATION, type BrowserService, SERVICE, startService } from './service.ts'

/** oidc-client-ts, which many web applications are built on, in a real browser: a client that shares no code with us. */
const LIBRARY = fileURLToPath(
  import.meta.resolve('oidc-client-ts').replace(/\/dist\/.*$/, '/dist/browser/oidc-client-ts.min.js'),
)
const LONG = 240_000

const PAGE =
  '<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><script src="/oidc.js"></script><h1>App</h1>'
/** What the library wants of the page in the frame. */
const SILENT = `${PAGE}<script>new oidc.UserManager({authority:'',client_id:'',redirect_uri:''}).signinSilentCallback()</script>`

async function application(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname === '/oidc.js')
    return new Response(Bun.file(LIBRARY), { headers: { 'content-type': 'text/javascript' } })
  const html = pathname === '/silent' ? SILENT : PAGE
  return new Response(html, { headers: { 'content-type': 'text/html; charset=utf-8' } })
}

let service: BrowserService
let clientId: string
beforeAll(async () => {
  service = await startService(application)
  const { harness } = service
  await signUp(harness.browser(), 'ada')
  clientId = (
    await registerClient(harness, {
      ...WEB_CLIENT,
      client_name: 'Browser App',
      redirect_uris: [`${APPLICATION}/callback`, `${APPLICATION}/silent`],
      post_logout_redirect_uris: [`${APPLICATION}/signed-out`],
    })
  ).client_id
}, CHROMIUM_START_MS)
afterAll(() => service?.stop(), LONG)

/** The global of the library and the manager that the application keeps. */
interface Window {
  oidc: typeof oidc
  manager: oidc.UserManager
}

/** Creates the application’s manager on the page that it is on. */
const manage = (page: Page): Promise<void> =>
  page.evaluate(
    ({ authority, client_id, app }) => {
      const window = globalThis as unknown as Window
      window.manager = new window.oidc.UserManager({
        authority,
        client_id,
        redirect_uri: `${app}/callback`,
        silent_redirect_uri: `${app}/silent`,
        post_logout_redirect_uri: `${app}/signed-out`,
        scope: 'openid profile',
        loadUserInfo: true,
        automaticSilentRenew: false,
        silentRequestTimeoutInSeconds: 30,
      })
    },
    { authority: `${SERVICE}/`, client_id: clientId, app: APPLICATION },
  )

/** Opens the application and signs in by redirect; gives the user that the library made of the answer. */
async function signInByRedirect({ page }: Visitor, ask: (page: Page) => Promise<void>) {
  await page.goto(`${APPLICATION}/`)
  await manage(page)
  // The page goes away under the call.
  await page.evaluate(() => {
    void (globalThis as unknown as Window).manager.signinRedirect({ state: 'deep link' })
  })
  await ask(page)
  await page.waitForURL(`${APPLICATION}/callback?*`)
  await manage(page)
  return page.evaluate(async () => {
    const user = await (globalThis as unknown as Window).manager.signinRedirectCallback()
    const { access_token, refresh_token, expires_in, profile, scopes, session_state, state } = user
    return { access_token, refresh_token, expires_in, profile, scopes, session_state, state }
  })
}

const firstTime = async (page: Page): Promise<void> => {
  await signIn(page, 'ada')
  await consent(page, 'Browser App')
}

const visit = (act: (visitor: Visitor) => Promise<void>): Promise<void> =>
  service.chromium.visit({}, async (visitor) => {
    await act(visitor)
    expect(visitor.problems).toEqual([])
  })

/** Renews in silence; the new tokens, or the error. */
const renew = (page: Page, by: 'frame' | 'refresh token') =>
  page.evaluate(async (way) => {
    const { manager } = globalThis as unknown as Window
    const before = await manager.getUser()
    if (way === 'frame' && before) {
      delete before.refresh_token
      await manager.storeUser(before)
    }
    try {
      const user = await manager.signinSilent()
      return { access_token: user?.access_token, name: user?.profile.name, sub: user?.profile.sub }
    } catch (error) {
      return { error: (error as { error?: string }).error ?? String(error) }
    }
  }, by)

describe('oidc-client-ts in Chromium', () => {
  test(
    'signs in by redirect with PKCE, checks the ID token, and reads userinfo',
    () =>
      visit(async (visitor) => {
        const user = await signInByRedirect(visitor, firstTime)
        expect(user.profile.iss).toBe(`${SERVICE}/`)
        expect(user.profile.name).toBe('ada Example')
        expect(user.profile.preferred_username).toBe('ada')
        expect(user.scopes.sort()).toEqual(['openid', 'profile'])
        expect(user.state).toBe('deep link')
        expect(user.expires_in).toBeGreaterThan(0)
        expect(user.refresh_token).toBeString()
        const asked = new URL(visitor.requests.find((url) => url.startsWith(`${SERVICE}/authorize`)) ?? '')
        expect(asked.searchParams.get('code_challenge_method')).toBe('S256')
      }),
    LONG,
  )

  test(
    'renews in silence: with the refresh token, and without one in a frame (prompt=none)',
    () =>
      visit(async (visitor) => {
        const { page, requests } = visitor
        const user = await signInByRedirect(visitor, (page) => signIn(page, 'ada'))
        const refreshed = await renew(page, 'refresh token')
        expect(refreshed.sub).toBe(user.profile.sub)
        expect(refreshed.access_token).not.toBe(user.access_token)
        expect(requests.filter((url) => url.includes('prompt=none'))).toEqual([])
        const framed = await renew(page, 'frame')
        expect(framed.sub).toBe(user.profile.sub)
        expect(framed.access_token).not.toBe(refreshed.access_token)
        expect(requests.filter((url) => url.includes('prompt=none'))).toHaveLength(1)
      }),
    LONG,
  )

  test(
    'signs out here and comes back; then nothing is renewed in silence',
    () =>
      visit(async (visitor) => {
        const { page } = visitor
        const user = await signInByRedirect(visitor, (page) => signIn(page, 'ada'))
        await page.evaluate(() => {
          void (globalThis as unknown as Window).manager.signoutRedirect({ state: 'bye' })
        })
        await page.waitForURL(`${APPLICATION}/signed-out?*`)
        await manage(page)
        const answer = await page.evaluate(async () => {
          const { userState } = await (globalThis as unknown as Window).manager.signoutRedirectCallback()
          return userState
        })
        expect(answer).toBe('bye')
        expect(await renew(page, 'frame')).toEqual({ error: 'login_required' })
        const { harness } = service
        const response = await harness.request('/oauth2/userinfo', {
          headers: { authorization: `Bearer ${user.access_token}` },
        })
        expect(response.status).toBe(401)
      }),
    LONG,
  )

  test(
    'revokes its tokens',
    () =>
      visit(async (visitor) => {
        const user = await signInByRedirect(visitor, (page) => signIn(page, 'ada'))
        await visitor.page.evaluate(() => (globalThis as unknown as Window).manager.revokeTokens())
        const response = await service.harness.request('/oauth2/userinfo', {
          headers: { authorization: `Bearer ${user.access_token}` },
        })
        expect(response.status).toBe(401)
      }),
    LONG,
  )
})
