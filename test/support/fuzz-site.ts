import type { App } from '../../src/app.ts'
import { surfaceOf } from '../../src/http/boundary.ts'
import { makeUser, personalToken } from './admin.ts'
import { type Browser, readForms } from './browser.ts'
import { DEVICE_GRANT, enterCode, registerDeviceClient, requestDevice } from './device.ts'
import type { GoodRequest } from './fuzz.ts'
import type { Harness } from './harness.ts'
import { legacyLogin, passwordLogin } from './legacy.ts'
import {
  authorizeUrl,
  basic,
  exchange,
  obtainCode,
  PASSWORD,
  pkce,
  registerClient,
  signUp,
  WEB_CLIENT,
} from './oauth.ts'

/** Where apps receive answers, and people who signed out. */
export const CALLBACK = WEB_CLIENT.redirect_uris[0] ?? ''
export const SIGNED_OUT = 'https://app.example.com/signed-out'

/** Values that are good in one place or another, requests that are good for the endpoints of apps. */
interface Goods {
  values: string[]
  credentials: string[]
  /** By the path of the route. */
  requests: Record<string, GoodRequest[]>
  /** Where a walk through the pages begins, besides the routes themselves. */
  entrances: string[]
}

/** What is known to be good on a deployment, for the tests that change it here and there. */
export interface Site {
  /** Everything that is known about a route; what it may use up is fresh. */
  knowledge(
    path: string,
  ): Promise<Pick<Goods, 'values' | 'credentials'> & { cookies: string[]; good: GoodRequest[] }>
}

const cookieOf = ({ cookies }: Browser): string =>
  [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')

/** A deployment with a person, an app of each kind, and an administrator. */
export async function createSite(harness: Harness, app: App): Promise<Site> {
  const browser = harness.browser()
  await signUp(browser, 'alice')
  const admin = await makeUser(harness, 'admin', { isAdmin: true })
  let goods: Goods | undefined
  let newcomer = harness.browser()
  let pages: Map<string, GoodRequest[]> | undefined
  let walkedAs = ''

  const prepare = async (): Promise<Goods> => {
    // The limits of an address are full again.
    harness.clock.advance(2 * 3600)
    newcomer = harness.browser()
    pages = undefined
    await signIn(browser)
    return makeGoods(harness, browser, newcomer)
  }
  /** What pages send, by path: walked once for each session. */
  const walked = async (entrances: string[]): Promise<Map<string, GoodRequest[]>> => {
    await signIn(browser)
    if (pages === undefined || walkedAs !== cookieOf(browser)) {
      pages = await walk(app, [browser, newcomer, harness.browser()], entrances)
      walkedAs = cookieOf(browser)
    }
    return pages
  }
  return {
    async knowledge(path) {
      const isPage = surfaceOf(path) === 'page'
      if (!goods || path in goods.requests || (isPage && path.includes('{'))) goods = await prepare()
      const { values, credentials, requests, entrances } = goods
      const own = requests[path] ?? []
      if (isPage) {
        const found = matching(await walked(entrances), path)
        const cookie = cookieOf(browser)
        const signedIn = own.map((request) => ({ ...request, headers: { ...request.headers, cookie } }))
        return { values, credentials, cookies: [cookie, 'a=b'], good: [...signedIn, ...found] }
      }
      if (!path.startsWith('/api/admin/')) return { values, credentials, cookies: ['a=b'], good: own }
      const authorization = `Bearer ${await personalToken(harness, admin.uuid, ['urn:mas:admin'])}`
      const good = await adminRequests(harness, app, path, authorization)
      return { values, credentials: [...credentials, authorization], cookies: ['a=b'], good }
    },
  }
}

/** Signs alice in, if a route has ended her session. */
async function signIn(browser: Browser): Promise<void> {
  const here = await browser.open('/account/')
  if (here.status === 200 && here.url.pathname === '/account/') return
  for (const name of browser.cookies.keys()) if (/session/.test(name)) browser.cookies.delete(name)
  const page = await browser.open('/login')
  await page.submit({ username: 'alice', password: PASSWORD }, { action: 'login' })
}

const walkable = (path: string): boolean => surfaceOf(path) === 'page' && !path.includes('{')
const TYPED: Record<string, string> = { username: 'alice', password: PASSWORD, password_confirm: PASSWORD }
/** Pages that one person looks at. */
const PAGES = 40

/** Walks through the pages as several people: what links and forms lead to, by path, with all that they would send. */
async function walk(
  app: App,
  people: readonly Browser[],
  entrances: readonly string[],
): Promise<Map<string, GoodRequest[]>> {
  const found = new Map<string, GoodRequest[]>()
  const starts = app.routes.flatMap(({ method, path }) => (method === 'GET' && walkable(path) ? [path] : []))
  for (const by of people) {
    const queue = [...entrances, ...starts]
    const done = new Set<string>()
    for (let address = queue.shift(); address !== undefined && done.size < PAGES; address = queue.shift()) {
      if (done.has(address)) continue
      done.add(address)
      const page = await by.open(address)
      const add = (target: string, fields: Record<string, string>) => {
        const url = new URL(target || page.url.href, page.url)
        const query = Object.fromEntries(url.searchParams)
        const headers = { cookie: cookieOf(by) }
        const before = found.get(url.pathname) ?? []
        found.set(url.pathname, [...before, { fields: { ...query, ...fields }, headers }])
      }
      add(page.url.href, {})
      for (const { action, hidden, names } of readForms(page.text))
        add(action, { ...Object.fromEntries(names.map((name) => [name, TYPED[name] ?? '1'])), ...hidden })
      for (const [, href = ''] of page.text.matchAll(/<a\b[^>]*\bhref="(\/[^"/][^"]*)"/g))
        queue.push(href.replaceAll('&amp;', '&'))
    }
  }
  return found
}

/** The requests of a walk that belong to a route, with the segment of its path. */
function matching(walked: Map<string, GoodRequest[]>, path: string): GoodRequest[] {
  const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, '([^/]+)')}$`)
  return [...walked].flatMap(([pathname, requests]) => {
    const match = pattern.exec(pathname)
    return match ? requests.map((request) => ({ ...request, segment: match[1] ?? '' })) : []
  })
}

let victims = 0

/** Requests of an administrator: what a collection lists, or somebody whose account may come to harm. */
async function adminRequests(
  harness: Harness,
  app: App,
  path: string,
  authorization: string,
): Promise<GoodRequest[]> {
  const headers = { authorization }
  const collection = /^\/api\/admin\/v1\/[\w-]+/.exec(path)?.[0] ?? path
  const ids: string[] = []
  if (path.includes('{username}')) ids.push('alice')
  else if (collection.endsWith('/users')) ids.push((await makeUser(harness, `victim${++victims}`)).id)
  else if (path.includes('{')) {
    const response = await app.handle(new Request(`${harness.origin}${collection}`, { headers }))
    if (response.status === 200) {
      const { data = [] } = (await response.json()) as { data?: { id: string }[] }
      ids.push(...data.slice(-3).map(({ id }) => id))
    }
  }
  if (ids.length === 0) ids.push('x')
  return ids.flatMap((segment) => [
    { headers, segment, fields: {}, json: true },
    { headers, segment, fields: { username: 'alice', actor_user_id: segment, scope: 'openid' }, json: true },
  ])
}

/** Registration metadata with every member that has rules of its own. */
const EVERYTHING = {
  ...WEB_CLIENT,
  'client_name#de': 'Eine App',
  token_endpoint_auth_method: 'client_secret_post',
  logo_uri: 'https://app.example.com/logo.png',
  policy_uri: 'https://app.example.com/privacy',
  tos_uri: 'https://app.example.com/terms',
  request_uris: ['https://app.example.com/request'],
  post_logout_redirect_uris: ['https://app.example.com/out'],
  backchannel_logout_uri: 'https://app.example.com/logout',
  contacts: ['admin@example.com'],
  default_max_age: 3600,
  require_auth_time: true,
  id_token_signed_response_alg: 'ES256',
  userinfo_signed_response_alg: 'RS256',
  application_type: 'web',
}

/** Words that mean something to one endpoint or another. */
const WORDS =
  `alice bob carol consent cancel reject set skip 1 yes 0 3600 true de en web native code query fragment
  form_post openid none login S256 RS256 authorization_code refresh_token client_credentials access_token private_key_jwt
  client_secret_post m.login.password m.login.token m.id.user org.matrix.session_end style.css acct:a@b.test manage_account
  @alice:example.test continue_authorization_grant continue_device_code_grant https://app.example.com/x urn:mas:admin
  urn:ietf:params:oauth:client-assertion-type:jwt-bearer urn:matrix:client:api:* 2026-11-24T12:00:00Z
  01J00000000000000000000000`.split(/\s+/)

async function makeGoods(harness: Harness, browser: Browser, newcomer: Browser): Promise<Goods> {
  const { client_id: clientId } = await registerClient(harness, {
    ...WEB_CLIENT,
    post_logout_redirect_uris: [SIGNED_OUT],
  })
  const secret = (await registerClient(harness, {
    ...WEB_CLIENT,
    client_name: 'With a secret',
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_method: 'client_secret_basic',
  })) as { client_id: string; client_secret: string; registration_access_token: string }
  const deviceClient = await registerDeviceClient(harness)
  const device = await requestDevice(harness, deviceClient)
  const shown = await enterCode(browser, device.user_code)
  const tokens = await exchange(harness, clientId, await obtainCode(browser, clientId))
  const request = Object.fromEntries(new URL(authorizeUrl(clientId), harness.origin).searchParams)
  const consent = await browser.open(authorizeUrl(clientId))
  const pushed = (await (await harness.form('/oauth2/par', request)).json()) as { request_uri: string }
  const code = await obtainCode(browser, clientId)
  const step = await newcomer.open('/register')
  const steps = await step.submit(
    { username: `carol${++victims}`, password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
  const legacy = await legacyLogin(harness, 'alice', { refresh_token: true })

  const own = { client_id: secret.client_id, client_secret: secret.client_secret }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const registered = bearer(secret.registration_access_token)
  const homeserver = bearer('test-shared-secret-of-matrix')
  const known = basic(secret.client_id, secret.client_secret)
  const { access_token: access, refresh_token: refresh, id_token: idToken = '' } = tokens
  const codeFields = {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    code_verifier: pkce().verifier,
  }
  const logout = {
    id_token_hint: idToken,
    client_id: clientId,
    post_logout_redirect_uri: SIGNED_OUT,
    state: 'x',
    ui_locales: 'de',
  }
  const login = passwordLogin('alice', {
    device_id: 'FUZZ',
    initial_device_display_name: 'x',
    refresh_token: true,
  })
  const matrix = '/_matrix/client/{version}'
  return {
    entrances: [consent.url.pathname, shown.url.pathname, steps.url.pathname],
    requests: {
      '/authorize': [
        { fields: request },
        { fields: { client_id: clientId, request_uri: pushed.request_uri } },
      ],
      '/oauth2/par': [{ fields: request }],
      '/oauth2/token': [
        { fields: codeFields },
        { fields: { grant_type: 'refresh_token', client_id: clientId, refresh_token: refresh } },
        { fields: { grant_type: 'client_credentials', scope: 'openid' }, headers: known },
        { fields: { grant_type: DEVICE_GRANT, client_id: deviceClient, device_code: device.device_code } },
      ],
      '/oauth2/introspect': [{ fields: { token: access }, headers: homeserver }],
      '/oauth2/revoke': [{ fields: { token: access, token_type_hint: 'access_token', client_id: clientId } }],
      '/oauth2/userinfo': [{ fields: {}, headers: bearer(access) }, { fields: { access_token: access } }],
      '/oauth2/device': [{ fields: { client_id: deviceClient, scope: 'openid' } }],
      '/oauth2/registration': [
        { json: true, fields: WEB_CLIENT },
        { json: true, fields: EVERYTHING },
      ],
      '/oauth2/registration/{id}': [
        { json: true, segment: secret.client_id, headers: registered, fields: { ...EVERYTHING, ...own } },
      ],
      '/end-session': [{ fields: logout }],
      '/assets/{file}': [{ segment: 'style.css', fields: {} }],
      [`${matrix}/login`]: [{ json: true, fields: login }],
      [`${matrix}/refresh`]: [{ json: true, fields: { refresh_token: legacy.refresh_token } }],
      [`${matrix}/logout`]: [{ json: true, fields: {}, headers: bearer(legacy.access_token) }],
      [`${matrix}/logout/all`]: [{ json: true, fields: login, headers: bearer(legacy.access_token) }],
      [`${matrix}/login/sso/redirect`]: [{ fields: { redirectUrl: CALLBACK, action: 'login' } }],
    },
    values: [
      ...[clientId, clientId, secret.client_id, secret.client_secret, access, refresh, idToken, code],
      ...[
        pushed.request_uri,
        device.device_code,
        device.user_code,
        PASSWORD,
        CALLBACK,
        SIGNED_OUT,
        DEVICE_GRANT,
      ],
      ...[consent, shown].map(({ url }) => url.pathname.split('/')[2] ?? ''),
      ...[pkce().verifier, pkce().challenge, legacy.access_token, legacy.refresh_token ?? '', ...WORDS],
    ],
    credentials: [
      ...[bearer(access), homeserver, registered, known, bearer(legacy.access_token)],
      basic(secret.client_id, 'wrong'),
    ].map(({ authorization }) => authorization),
  }
}
