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
/** What the library wants of the page in the frame, and of the one in the window that it opened. */
const CALLBACKS: Record<string, string> = {
  '/silent': 'signinSilentCallback()',
  '/popup': 'signinCallback()',
  '/popup-signed-out': 'signoutPopupCallback()',
  '/silent-signed-out': 'signoutSilentCallback()',
}
const callbackPage = (call: string): string =>
  `${PAGE}<script>new oidc.UserManager({authority:'x',client_id:'x',redirect_uri:'x'}).${call}</script>`

async function application(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname === '/oidc.js')
    return new Response(Bun.file(LIBRARY), { headers: { 'content-type': 'text/javascript' } })
  const call = CALLBACKS[pathname]
  const html = call === undefined ? PAGE : callbackPage(call)
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
      redirect_uris: ['callback', 'silent', 'popup'].map((page) => `${APPLICATION}/${page}`),
      post_logout_redirect_uris: ['signed-out', 'popup-signed-out', 'silent-signed-out'].map(
        (page) => `${APPLICATION}/${page}`,
      ),
    })
  ).client_id
}, CHROMIUM_START_MS)
afterAll(() => service?.stop(), LONG)

/** The global of the library and the manager that the application keeps. */
interface Window {
  oidc: typeof oidc
  manager: oidc.UserManager
}

/** Creates the application’s manager on the page that it is on, with a key of its own (RFC 9449) if it wants one. */
const manage = (
  page: Page,
  { bound = false, ...more }: Partial<oidc.UserManagerSettings> & { bound?: boolean } = {},
): Promise<void> =>
  page.evaluate(
    ({ authority, client_id, app, bound, more }) => {
      const window = globalThis as unknown as Window
      const store = new window.oidc.IndexedDbDPoPStore()
      window.manager = new window.oidc.UserManager({
        authority,
        client_id,
        redirect_uri: `${app}/callback`,
        silent_redirect_uri: `${app}/silent`,
        popup_redirect_uri: `${app}/popup`,
        popup_post_logout_redirect_uri: `${app}/popup-signed-out`,
        post_logout_redirect_uri: `${app}/signed-out`,
        scope: 'openid profile',
        loadUserInfo: true,
        automaticSilentRenew: false,
        silentRequestTimeoutInSeconds: 30,
        ...(bound && { dpop: { bind_authorization_code: true, store }, loadUserInfo: false }),
        ...more,
      })
    },
    { authority: `${SERVICE}/`, client_id: clientId, app: APPLICATION, bound, more },
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
    'signs in and out in a window of its own: the window stays connected with the page that opened it',
    () =>
      visit(async (visitor) => {
        const { page } = visitor
        await page.goto(`${APPLICATION}/`)
        await manage(page)
        /** Begins something that opens a window; gives the window, and what came of it in the end. */
        const inWindow = async (call: 'signinPopup' | 'signoutPopup') => {
          const opened = page.context().waitForEvent('page')
          const ended = page.evaluate(async (name) => {
            const { manager } = globalThis as unknown as Window
            const user = await manager[name]({ popupAbortOnClose: true })
            return user?.profile.name
          }, call)
          // Awaited below; a failure meanwhile must not be one that nobody listens to.
          ended.catch(() => {})
          return { window: await opened, ended }
        }
        const signingIn = await inWindow('signinPopup')
        await signingIn.window.getByLabel('Username').waitFor()
        expect(await signingIn.window.evaluate(() => window.opener !== null)).toBe(true)
        const closed = signingIn.window.waitForEvent('close')
        await signIn(signingIn.window, 'ada')
        expect(await signingIn.ended).toBe('ada Example')
        await closed
        const signingOut = await inWindow('signoutPopup')
        expect(await signingOut.ended).toBeUndefined()
        expect(await page.evaluate(() => (globalThis as unknown as Window).manager.getUser())).toBeNull()
        expect(await renew(page, 'frame')).toEqual({ error: 'login_required' })
      }),
    LONG,
  )

  test(
    'with DPoP and response_mode=fragment: proofs, renewal by its own timer, signing out in a frame',
    () =>
      visit(async (visitor) => {
        const { page, requests } = visitor
        const bound = { bound: true, response_mode: 'fragment' } as const
        await page.goto(`${APPLICATION}/`)
        await manage(page, bound)
        await page.evaluate(() => {
          void (globalThis as unknown as Window).manager.signinRedirect()
        })
        await signIn(page, 'ada')
        await page.waitForURL(`${APPLICATION}/callback#*`)
        expect(new URL(page.url()).search).toBe('')
        await manage(page, {
          ...bound,
          // So that it is about to run out from the start.
          accessTokenExpiringNotificationTimeInSeconds: 299,
        })
        const first = await page.evaluate(async (userinfo) => {
          const { manager } = globalThis as unknown as Window
          const user = await manager.signinCallback()
          if (!user) throw new Error('nobody')
          const ask = async (headers: Record<string, string>) => (await fetch(userinfo, { headers })).status
          const proof = (await manager.dpopProof(userinfo, user)) ?? ''
          return {
            type: user.token_type,
            token: user.access_token,
            right: await ask({ authorization: `DPoP ${user.access_token}`, DPoP: proof }),
          }
        }, `${SERVICE}/oauth2/userinfo`)
        expect([first.type, first.right]).toEqual(['DPoP', 200])
        const asked = new URL(requests.find((url) => url.startsWith(`${SERVICE}/authorize`)) ?? '')
        expect(asked.searchParams.get('dpop_jkt')).toMatch(/^[\w-]{43}$/)

        const renewed = await page.evaluate(async () => {
          const { manager } = globalThis as unknown as Window
          const loaded = new Promise<oidc.User>((resolve) => {
            manager.events.addUserLoaded((user) => resolve(user))
          })
          await manager.getUser(true)
          manager.startSilentRenew()
          const user = await loaded
          manager.stopSilentRenew()
          return { type: user.token_type, token: user.access_token }
        })
        expect(renewed.type).toBe('DPoP')
        await page.evaluate(async (address) => {
          const { manager } = globalThis as unknown as Window
          const user = await manager.getUser()
          await manager.signoutSilent({
            post_logout_redirect_uri: address,
            id_token_hint: user?.id_token ?? '',
            state: 'bye',
          })
        }, `${APPLICATION}/silent-signed-out`)
        expect(await renew(page, 'frame')).toEqual({ error: 'login_required' })
        await page.evaluate(async () => {
          const { manager } = globalThis as unknown as Window
          await manager.clearStaleState()
          await manager.removeUser()
        })
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

  test('every method of its manager is called here, or there is a reason', async () => {
    const NOT_FOR_US = {
      signinResourceOwnerCredentials: 'the password grant is not for anybody (RFC 9700 section 2.4)',
      querySessionStatus: 'needs session_state of Session Management 1.0, which we do not have',
      generateDPoPJkt: 'called by signinRedirect',
      signinPopupCallback: 'called by signinCallback',
      signoutCallback: 'calls what is called here by itself',
    }
    const { UserManager } = await import('oidc-client-ts')
    const source = await Bun.file(import.meta.path).text()
    const methods = Object.entries(Object.getOwnPropertyDescriptors(UserManager.prototype))
      .filter(([name, { value }]) => typeof value === 'function' && !/^_|^constructor$/.test(name))
      .map(([name]) => name)
    const isCalled = (name: string) => new RegExp(`\\.${name}\\(|'${name}(\\(\\))?'`).test(source)
    expect(methods.length).toBeGreaterThan(15)
    expect(methods.filter((name) => !isCalled(name) && !(name in NOT_FOR_US))).toEqual([])
  })
})
