import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Glob } from 'bun'
import { approve as approveAccount, reject as rejectAccount } from '../../src/identity/approvals.ts'
import { deactivateDue } from '../../src/identity/deactivation.ts'
import { addEmail } from '../../src/identity/emails.ts'
import { openMail } from '../../src/identity/mails.ts'
import { noteLogoutReturn } from '../../src/identity/provider-logout.ts'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import { csrfOf } from '../support/account.ts'
import { challengeOf, solve } from '../support/altcha.ts'
import { type Browser, copyCookies, type Page } from '../support/browser.ts'
import { clientKey } from '../support/client-keys.ts'
import { enterCode, poll, registerDeviceClient, requestDevice } from '../support/device.ts'
import { proofKey } from '../support/dpop.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { legacyLogin, postMatrix, refreshLegacy } from '../support/legacy.ts'
import { NO_LIMITS } from '../support/limits.ts'
import {
  authorizeUrl,
  createSignedUp,
  exchange,
  introspect,
  obtainCode,
  PASSWORD,
  type Person,
  pkce,
  registerClient,
  WEB_CLIENT,
} from '../support/oauth.ts'
import { PROVIDER, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

/**
 * Everything that counts once, asked for eight times at the same moment, in two processes on one database: one wins, the
 * others get the answer that is right for who comes too late (or the same one, where the second is only the double click
 * of the first), nothing fails inside, and what it does is done once. The last test finds steps that have no race here.
 */
const AT_ONCE = 8

let world: UpstreamWorld
let one: Harness
let two: Harness
/** With an address and an invitation for each sign-up, the check against robots, and approval. */
let strict: Harness
let careful: Harness
const email = { transport: 'smtp', mode: 'plain', hostname: '127.0.0.1', port: 1 } as const
const account = {
  deactivation_grace_period: 86_400,
  password_recovery_enabled: true,
  password_registration_enabled: true,
  password_registration_email_required: false,
}
beforeAll(async () => {
  const config = { email, account, rate_limiting: NO_LIMITS }
  world = await upstreamWorld({}, { config })
  one = world.harness
  two = await createHarness({ beside: one, config })
  strict = await createHarness({
    beside: one,
    config: {
      email,
      rate_limiting: NO_LIMITS,
      account: {
        ...account,
        password_registration_email_required: true,
        password_registration_token_required: true,
      },
    },
  })
  careful = await createHarness({
    beside: one,
    config: {
      email,
      rate_limiting: NO_LIMITS,
      captcha: { service: 'altcha' },
      account: { ...account, registration_requires_approval: true },
    },
  })
})
afterAll(async () => {
  for (const harness of [careful, strict, two]) await harness.close()
  await world.close()
})

const turns = [...Array(AT_ONCE).keys()]
const processes = (): Harness[] => turns.map((turn) => (turn % 2 === 0 ? one : two))
/** The same browser in each process: none of the copies sees the answers to the others. */
const copies = (browser: Browser, at = processes()): Browser[] =>
  at.map((harness) => copyCookies(browser, harness.browser()))
/** Sends one form from each browser at once. */
const sendAll = (browsers: Browser[], page: Page, path: string, fields: Record<string, string>) =>
  Promise.all(browsers.map((browser) => browser.post(path, { csrf: csrfOf(page), ...fields })))
const sendPage = (browser: Browser, page: Page, fields: Record<string, string>, at = processes()) =>
  sendAll(copies(browser, at), page, page.url.pathname + page.url.search, fields)

/** How often each outcome came. */
const tally = (outcomes: (string | number)[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}
/** Where a page is: an app, or the first part of our path, with its status unless that is 200. */
const placeOf = ({ url, status }: Page): string =>
  url.origin !== one.origin ? 'app' : `/${url.pathname.split('/')[1]}${status === 200 ? '' : ` ${status}`}`
const last = ({ url, status }: Page): string =>
  `${url.pathname.split('/').at(-1)}${status === 200 ? '' : ` ${status}`}`

let people = 0
const newName = (): string => `racer${++people}`
const person = (): Promise<Person> => createSignedUp(one, newName())
const beginSignUp = async (browser: Browser, username: string, more: Record<string, string> = {}) =>
  (await browser.open('/register')).submit(
    { username, password: PASSWORD, password_confirm: PASSWORD, ...more },
    { action: 'register/password' },
  )
const count = async (query: Promise<readonly { n: number }[]>): Promise<number> => (await query)[0]?.n ?? -1
const accounts = (username: string) =>
  count(one.deps.sql<{ n: number }[]>`
    select count(*)::int as n from latchkey.users where username = ${username}`)
const addresses = (address: string) =>
  count(one.deps.sql<{ n: number }[]>`
    select count(*)::int as n from latchkey.user_emails where email = ${address}`)
/** What waits to be mailed, opened. */
async function mailed(kind: string): Promise<Record<string, unknown>[]> {
  const rows = await one.deps.sql<{ id: string; sealed_content: string }[]>`
    select id, sealed_content from latchkey.mails where kind = ${kind}`
  const mails = await Promise.all(rows.map((row) => openMail(one.deps, row)))
  return mails.map((mail) => (mail?.context ?? {}) as Record<string, unknown>)
}
const codeOf = async (username: string): Promise<string> =>
  String((await mailed('verification')).find(({ mxid }) => mxid === `@${username}:example.test`)?.code)
const outcomeOf = async (answer: Promise<Response>): Promise<string> => {
  const response = await answer
  const { error = 'ok' } = (await response.json()) as { error?: string }
  return error
}
const consentOf = async (params: Record<string, string> = {}) => {
  const { browser, username } = await person()
  const { client_id: clientId } = await registerClient(one)
  return { browser, username, clientId, page: await browser.open(authorizeUrl(clientId, params)) }
}

/** One thing that counts once. */
interface Race {
  /** The functions of `sql/` with the conditional write that makes it so. */
  claims: string[]
  /** Asks for it eight times, and checks what came of it. */
  run(): Promise<void>
}

const RACES: Record<string, Race> = {
  'the last step of a sign-up: one account, all signed in to one session': {
    claims: ['completeRegistration', 'insertUser'],
    async run() {
      const [browser, username] = [one.browser(), newName()]
      const step = await beginSignUp(browser, username)
      const pages = await sendPage(browser, step, { display_name: 'R', action: 'set' })
      expect(tally(pages.map(placeOf))).toEqual({ '/': AT_ONCE })
      expect(await accounts(username)).toBe(1)
    },
  },
  'one name, in sign-ups of eight browsers: one account': {
    claims: ['insertUser'],
    async run() {
      const name = newName()
      // Begun under names of their own; the one that all want is typed last.
      const steps = []
      for (const at of processes()) {
        const browser = at.browser()
        steps.push({ browser, page: await beginSignUp(browser, newName()) })
      }
      const pages = await Promise.all(
        steps.map(({ page }) =>
          page.submit({ username: name, display_name: 'R', action: 'set' }, { action: 'display-name' }),
        ),
      )
      expect(tally(pages.map(placeOf))).toEqual({ '/': 1, '/register 422': AT_ONCE - 1 })
      expect(await accounts(name)).toBe(1)
    },
  },
  'the code of a mail in a sign-up: all go on, the address is proven once': {
    claims: ['completeEmailVerification'],
    async run() {
      const [browser, username] = [strict.browser(), newName()]
      const step = await beginSignUp(browser, username, { email: `${username}@example.test` })
      const { token = '' } =
        (await createRegistrationToken(strict.deps, { usageLimit: 1, expiresAt: null })) ?? {}
      const page = await step.submit({ token }, { action: '/token' })
      const code = await codeOf(username)
      const at = turns.map(() => strict)
      const pages = await sendPage(browser, page, { code }, at)
      expect(tally(pages.map(last))).toEqual({ 'display-name': AT_ONCE })
      const name = pages[0]
      if (name) await sendPage(browser, name, { display_name: 'R', action: 'set' }, at)
      expect(await addresses(`${username}@example.test`)).toBe(1)
    },
  },
  'the code of a mail in the account area: the address is there once, and all see it': {
    claims: ['completeEmailVerification', 'insertEmail'],
    async run() {
      const { browser, username } = await person()
      const address = `${username}@example.test`
      const form = await browser.open('/account/emails/add')
      const page = await form.submit({ email: address }, { action: 'emails/add' })
      const code = await codeOf(username)
      const pages = await sendPage(browser, page, { code })
      expect(tally(pages.map(last))).toEqual({ emails: AT_ONCE })
      expect(await addresses(address)).toBe(1)
      const added = (await mailed('security_notice')).filter(
        (one) => one.username === username && one.event === 'email_added',
      )
      expect(added.length).toBeLessThanOrEqual(1)
    },
  },
  'an invitation for two, in sign-ups of eight browsers: two accounts': {
    claims: [],
    async run() {
      const { token = '' } =
        (await createRegistrationToken(strict.deps, { usageLimit: 2, expiresAt: null })) ?? {}
      const names: Page[] = []
      for (const _ of turns) {
        const [browser, username] = [strict.browser(), newName()]
        const step = await beginSignUp(browser, username, { email: `${username}@example.test` })
        const page = await step.submit({ token }, { action: '/token' })
        const code = await codeOf(username)
        names.push(await page.submit({ code }, { action: 'verify-email' }))
      }
      const pages = await Promise.all(
        names.map((name) => name.submit({ display_name: 'R', action: 'set' }, { action: 'display-name' })),
      )
      expect(tally(pages.map(placeOf))).toEqual({ '/': 2, '/register 422': AT_ONCE - 2 })
      for (const page of pages.filter((page) => placeOf(page) === '/register 422'))
        expect(page.url.pathname).toEndWith('/token')
      const used = await one.deps.sql<{ n: number }[]>`
        select times_used::int as n from latchkey.registration_tokens where usage_limit = 2`
      expect(used[0]?.n).toBe(2)
    },
  },
  'an answer to the check against robots, in forms of eight people: one sign-up begins': {
    claims: ['claimCaptcha'],
    async run() {
      const browser = careful.browser()
      const page = await browser.open('/register')
      const altcha = await solve(challengeOf(page))
      const pages = await Promise.all(
        turns.map(() =>
          page.submit(
            { username: newName(), password: PASSWORD, password_confirm: PASSWORD, altcha },
            { action: 'register/password' },
          ),
        ),
      )
      expect(tally(pages.map(last))).toEqual({ 'display-name': 1, 'password 422': AT_ONCE - 1 })
    },
  },
  'the approval of an account, and its rejection: one of them holds': {
    claims: ['approveWaiting', 'deleteWaiting'],
    async run() {
      const [browser, username] = [careful.browser(), newName()]
      const page = await browser.open('/register')
      const altcha = await solve(challengeOf(page))
      const step = await page.submit(
        { username, password: PASSWORD, password_confirm: PASSWORD, altcha },
        { action: 'register/password' },
      )
      await step.submit({ display_name: 'R', action: 'set' }, { action: 'display-name' })
      const [user] = await one.deps.sql<{ id: string }[]>`
        select id from latchkey.users where username = ${username}`
      const decided = await Promise.all(
        turns.map((turn) => (turn % 2 === 0 ? approveAccount : rejectAccount)(careful.deps, user?.id ?? '')),
      )
      expect(decided.filter(Boolean)).toHaveLength(1)
      expect(await accounts(username)).toBe(decided.indexOf(true) % 2 === 0 ? 1 : 0)
    },
  },
  'the link of a recovery, and the one that an admin gives out, in eight browsers: one gets in': {
    claims: ['claimRecoveryTicket'],
    async run() {
      const { username, userId } = await person()
      const link = await issueRecoveryLink(one.deps, userId)
      const forms = await Promise.all(
        processes().map(async (at) => {
          const browser = at.browser()
          return { browser, page: await browser.open(link) }
        }),
      )
      const pages = await Promise.all(
        forms.map(({ page }, turn) =>
          page.submit(
            { password: `${PASSWORD} ${turn}`, password_confirm: `${PASSWORD} ${turn}` },
            { action: 'password/recovery' },
          ),
        ),
      )
      expect(tally(pages.map(({ status }) => status))).toEqual({ 200: 1, 410: AT_ONCE - 1 })
      expect(forms.filter(({ browser }) => browser.cookies.has('session'))).toHaveLength(1)
      // The password is that of who got in.
      const winner = pages.findIndex(({ status }) => status === 200)
      const login = await one.browser().open('/login')
      const done = await login.submit({ username, password: `${PASSWORD} ${winner}` }, { action: 'login' })
      expect(done.url.pathname).toBe('/')
    },
  },
  'the password before something risky: all are confirmed, in one session': {
    claims: ['renewBrowserSession'],
    async run() {
      const { browser, userId } = await person()
      one.clock.advance(601)
      const page = await browser.open('/account/tokens/new')
      const browsers = copies(browser)
      const path = page.url.pathname + page.url.search
      const pages = await sendAll(browsers, page, path, { password: PASSWORD })
      expect(pages.filter(({ status }) => status >= 500)).toEqual([])
      // The cookie of the last one is the session's; those before it are let through for ten seconds.
      const fresh = await Promise.all(browsers.map((one) => one.open('/account/tokens/new')))
      expect(fresh.filter(({ url }) => url.pathname === '/account/tokens/new').length).toBeGreaterThanOrEqual(
        1,
      )
      const sessions = one.deps.sql<{ n: number }[]>`
        select count(*)::int as n from latchkey.browser_sessions where user_id = ${userId} and finished_at is null`
      expect(await count(sessions)).toBe(1)
    },
  },
  'the answer of a provider: one is taken, the others are told that it is over': {
    claims: ['claimUpstreamSession'],
    async run() {
      const name = newName()
      world.fake.claims = { sub: `sub-of-${name}`, preferred_username: name, name: 'R' }
      const browser = one.browser()
      const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
      const answer = world.fake.answer(away.url, {}).href
      const pages = await Promise.all(
        copies(
          browser,
          turns.map(() => one),
        ).map((copy) => copy.open(answer)),
      )
      expect(tally(pages.map(placeOf))).toEqual({ '/upstream': 1, '/upstream 400': AT_ONCE - 1 })
    },
  },
  'the sign-up of a new identity: one account and one session': {
    claims: ['consumeUpstreamSession', 'ownUpstreamLink'],
    async run() {
      const username = newName()
      world.fake.claims = { sub: `sub-of-${username}`, preferred_username: username, name: 'R' }
      const browser = one.browser()
      const page = await world.through(browser)
      const fields = { username, action: 'register', import_display_name: 'on' }
      const pages = await sendPage(
        browser,
        page,
        fields,
        turns.map(() => one),
      )
      expect(tally(pages.map(placeOf))).toEqual({ '/': AT_ONCE })
      expect(await accounts(username)).toBe(1)
    },
  },
  'a new identity for an account: linked once, told once': {
    claims: ['consumeUpstreamSession', 'ownUpstreamLink'],
    async run() {
      const { browser, userId } = await person()
      world.fake.claims = { sub: `sub-of-${newName()}`, preferred_username: 'x', name: 'R' }
      const page = await world.through(
        browser,
        `/upstream/authorize/${PROVIDER}?kind=manage_account&page=linked`,
      )
      const pages = await sendPage(
        browser,
        page,
        { action: 'link' },
        turns.map(() => one),
      )
      expect(tally(pages.map(last))).toEqual({ linked: AT_ONCE })
      const events = one.deps.sql<{ n: number }[]>`
        select count(*)::int as n from latchkey.security_events where user_id = ${userId} and kind = 'identity_linked'`
      expect(await count(events)).toBe(1)
    },
  },
  'the consent: one code, the others hear that it was answered': {
    claims: ['fulfilGrant'],
    async run() {
      const { browser, page } = await consentOf()
      const pages = await sendPage(browser, page, { action: 'consent' })
      expect(tally(pages.map(placeOf))).toEqual({ app: 1, '/consent 409': AT_ONCE - 1 })
      expect(pages.filter(({ url }) => url.searchParams.has('code'))).toHaveLength(1)
    },
  },
  'consent and refusal at once: one answer goes to the app': {
    claims: ['fulfilGrant', 'cancelGrant'],
    async run() {
      const { browser, page } = await consentOf()
      const browsers = copies(browser)
      const pages = await Promise.all(
        browsers.map((one, turn) =>
          one.post(page.url.pathname, { csrf: csrfOf(page), action: turn % 2 === 0 ? 'consent' : 'cancel' }),
        ),
      )
      expect(tally(pages.map(placeOf))).toEqual({ app: 1, '/consent 409': AT_ONCE - 1 })
    },
  },
  'a pushed request, opened in eight tabs: one answer': {
    claims: ['fulfilGrant'],
    async run() {
      const { browser, clientId } = await consentOf()
      const asked = new URL(authorizeUrl(clientId, { scope: 'openid', prompt: 'consent' }), one.origin)
      const response = await one.form('/oauth2/par', Object.fromEntries(asked.searchParams))
      const { request_uri } = (await response.json()) as { request_uri: string }
      const query = new URLSearchParams({ client_id: clientId, request_uri })
      const tabs = await Promise.all(copies(browser).map((copy) => copy.open(`/authorize?${query}`)))
      const pages = await Promise.all(
        tabs.map((tab) => tab.submit({}, { action: 'consent/', button: ['action', 'consent'] })),
      )
      expect(tally(pages.map(placeOf))).toEqual({ app: 1, '/consent 409': AT_ONCE - 1 })
    },
  },
  'a code: tokens once (RFC 6749 section 4.1.2)': {
    claims: ['claimCode', 'spendCode'],
    async run() {
      const { browser, clientId } = await consentOf()
      const code = await obtainCode(browser, clientId)
      const form = {
        grant_type: 'authorization_code',
        client_id: clientId,
        code,
        code_verifier: pkce().verifier,
      }
      const outcomes = await Promise.all(processes().map((at) => outcomeOf(at.form('/oauth2/token', form))))
      expect(tally(outcomes)).toEqual({ ok: 1, invalid_grant: AT_ONCE - 1 })
    },
  },
  'a refresh token: one successor, which all get (decision 7)': {
    claims: ['rotateRefreshTokens', 'renewSuccessor'],
    async run() {
      const { browser, clientId } = await consentOf()
      const { refresh_token } = await exchange(one, clientId, await obtainCode(browser, clientId))
      const form = { grant_type: 'refresh_token', client_id: clientId, refresh_token }
      const answers = await Promise.all(
        processes().map(
          async (at) => (await at.form('/oauth2/token', form)).json() as Promise<{ access_token: string }>,
        ),
      )
      expect(Object.values(tally(answers.map(({ access_token }) => access_token)))).toEqual([AT_ONCE])
      expect((await introspect(one, answers[0]?.access_token ?? '')).active).toBe(true)
    },
  },
  'the code of a device, typed in by eight browsers: it belongs to one': {
    claims: ['bindDeviceGrant'],
    async run() {
      const { user_code } = await requestDevice(one, await registerDeviceClient(one))
      const browsers = processes().map((at) => at.browser())
      const pages = await Promise.all(browsers.map((browser) => enterCode(browser, user_code)))
      const path =
        pages.map(({ url }) => url).find(({ pathname }) => pathname.startsWith('/device/'))?.pathname ?? ''
      const then = await Promise.all(browsers.map((browser) => browser.open(path)))
      expect(tally(then.map(placeOf))).toEqual({ '/login': 1, '/device 403': AT_ONCE - 1 })
    },
  },
  'yes and no to a device: one holds, and all see which': {
    claims: ['fulfilDeviceGrant', 'rejectDeviceGrant'],
    async run() {
      const { browser } = await person()
      const clientId = await registerDeviceClient(one)
      const { user_code, device_code } = await requestDevice(one, clientId)
      const page = await enterCode(browser, user_code)
      const pages = await Promise.all(
        copies(browser).map((copy, turn) =>
          copy.post(page.url.pathname, {
            csrf: csrfOf(page),
            ...(turn % 2 === 0 ? { action: 'consent', confirm_device: '1' } : { action: 'reject' }),
          }),
        ),
      )
      const titles = pages.map(({ status, text }) => `${status} ${/<h1>([^<]*)/.exec(text)?.[1]}`)
      expect(Object.values(tally(titles))).toEqual([AT_ONCE])
      const { status, body } = await poll(one, clientId, device_code)
      expect(titles[0]).toBe(status === 200 ? '200 The device is let in' : '200 The device stays out')
      if (status !== 200) expect(body.error).toBe('access_denied')
    },
  },
  'the code that a device polls with: tokens once': {
    claims: ['claimDeviceCode', 'spendDeviceCode'],
    async run() {
      const { browser } = await person()
      const clientId = await registerDeviceClient(one)
      const { user_code, device_code } = await requestDevice(one, clientId)
      const page = await enterCode(browser, user_code)
      await page.submit({ confirm_device: '1' }, { action: '/device/', button: ['action', 'consent'] })
      const answers = await Promise.all(processes().map((at) => poll(at, clientId, device_code)))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
      for (const { status, body } of answers)
        if (status !== 200) expect(['invalid_grant', 'slow_down']).toContain(body.error ?? '')
    },
  },
  'the way back to a legacy client: one login token': {
    claims: ['fulfilCompatLogin', 'cancelCompatLogin'],
    async run() {
      const { browser } = await person()
      const page = await browser.open(
        '/_matrix/client/v3/login/sso/redirect?redirectUrl=https%3A%2F%2Fold.example%2F',
      )
      const pages = await Promise.all(
        copies(browser).map((copy, turn) =>
          copy.post(page.url.pathname, {
            csrf: csrfOf(page),
            action: turn % 2 === 0 ? 'continue' : 'cancel',
          }),
        ),
      )
      // Either the client got its token, or the person gave up; the others hear that it was answered.
      expect(pages.filter(({ status }) => status === 409)).toHaveLength(AT_ONCE - 1)
    },
  },
  'a login token of Matrix: one session (m.login.token)': {
    claims: ['spendLoginToken'],
    async run() {
      const { browser } = await person()
      const page = await browser.open(
        '/_matrix/client/v3/login/sso/redirect?redirectUrl=https%3A%2F%2Fold.example%2F',
      )
      const done = await page.submit({}, { action: 'complete-compat-sso/', button: ['action', 'continue'] })
      const token = done.url.searchParams.get('loginToken')
      const answers = await Promise.all(
        processes().map((at) => postMatrix(at, 'login', { type: 'm.login.token', token })),
      )
      expect(tally(answers.map(({ status }) => status))).toEqual({ 200: 1, 403: AT_ONCE - 1 })
    },
  },
  'a refresh token of Matrix: one successor, which all get': {
    claims: ['rotateCompatToken', 'renewCompatSuccessor'],
    async run() {
      const { username } = await person()
      const { refresh_token = '' } = await legacyLogin(one, username, { refresh_token: true })
      const answers = await Promise.all(processes().map((at) => refreshLegacy(at, refresh_token)))
      expect(
        Object.values(tally(answers.map(({ status, body }) => `${status} ${body.access_token}`))),
      ).toEqual([AT_ONCE])
    },
  },
  'an assertion of a client: good once (RFC 7523 section 3)': {
    claims: ['insertUsedJwt'],
    async run() {
      const key = await clientKey()
      const { client_id } = await registerClient(one, {
        ...WEB_CLIENT,
        grant_types: ['authorization_code', 'client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [key.jwk] },
      })
      const iat = Math.floor(one.clock.now().getTime() / 1000)
      const claims = {
        iss: client_id,
        sub: client_id,
        aud: 'http://auth.test/',
        iat,
        exp: iat + 60,
        jti: 'raced',
      }
      const form = {
        grant_type: 'client_credentials',
        scope: 'openid',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await key.sign(claims),
      }
      const outcomes = await Promise.all(processes().map((at) => outcomeOf(at.form('/oauth2/token', form))))
      expect(tally(outcomes)).toEqual({ ok: 1, invalid_client: AT_ONCE - 1 })
    },
  },
  'a proof of a key: good once (RFC 9449 section 11.1)': {
    claims: ['insertUsedJwt'],
    async run() {
      const { browser, clientId } = await consentOf()
      const key = await proofKey(one.clock)
      const code = await obtainCode(browser, clientId)
      const dpop = await key.proof('POST', '/oauth2/token')
      const form = {
        grant_type: 'authorization_code',
        client_id: clientId,
        code,
        code_verifier: pkce().verifier,
      }
      const outcomes = await Promise.all(
        processes().map((at) => outcomeOf(at.form('/oauth2/token', form, { dpop }))),
      )
      expect(tally(outcomes)).toEqual({ ok: 1, invalid_dpop_proof: AT_ONCE - 1 })
    },
  },
  'the deactivation of an account: one date, one mail': {
    claims: ['insertPendingDeactivation', 'lockUser'],
    async run() {
      const { browser, username, userId } = await person()
      await addEmail(one.deps, one.deps.sql, userId, `${username}@example.test`)
      const page = await browser.open('/account/deactivate')
      const pages = await sendPage(browser, page, { confirm: username })
      expect(pages.filter(({ status }) => status >= 500)).toEqual([])
      const pending = one.deps.sql<{ n: number }[]>`
        select count(*)::int as n from latchkey.pending_deactivations where user_id = ${userId}`
      expect(await count(pending)).toBe(1)
      const mine = (await mailed('deactivation')).filter(({ mxid }) => mxid === `@${username}:example.test`)
      expect(mine).toHaveLength(1)
    },
  },
  'the link that takes a deactivation back: once, and the account is as it was': {
    claims: ['claimPendingDeactivation'],
    async run() {
      const { browser, username, userId } = await person()
      await addEmail(one.deps, one.deps.sql, userId, `${username}@example.test`)
      const form = await browser.open('/account/deactivate')
      await browser.post('/account/deactivate', { csrf: csrfOf(form), confirm: username })
      const mail = (await mailed('deactivation')).find(({ mxid }) => mxid === `@${username}:example.test`)
      const asked = await Promise.all(processes().map((at) => at.browser().open(String(mail?.link))))
      const pages = await Promise.all(asked.map((page) => page.submit({}, { action: 'undo' })))
      expect(tally(pages.map(({ status }) => status))).toEqual({ 200: 1, 410: AT_ONCE - 1 })
      const login = await one.browser().open('/login')
      expect((await login.submit({ username, password: PASSWORD }, { action: 'login' })).url.pathname).toBe(
        '/',
      )
    },
  },
  'a deactivation that is due, in eight runs of the job: done once': {
    claims: ['claimDueDeactivation', 'deactivateUser'],
    async run() {
      const { browser, username, userId } = await person()
      const form = await browser.open('/account/deactivate')
      await browser.post('/account/deactivate', { csrf: csrfOf(form), confirm: username })
      one.clock.advance(86_401)
      await Promise.all(processes().map(({ deps }) => deactivateDue(deps)))
      const done = one.deps.sql<{ n: number }[]>`
        select count(*)::int as n from latchkey.security_events where user_id = ${userId} and kind = 'deactivated'`
      expect(await count(done)).toBeLessThanOrEqual(1)
      const [user] = await one.deps.sql<{ deactivated_at: Date | null }[]>`
        select deactivated_at from latchkey.users where id = ${userId}`
      expect(user?.deactivated_at).not.toBeNull()
    },
  },
  'a new access token in place of an old one: of eight one works': {
    claims: [],
    async run() {
      const { browser } = await person()
      const form = await browser.open('/account/tokens/new')
      await form.submit({ token_name: 'Bot', scope_matrix_api: '1', expires: '30' }, { action: 'tokens/new' })
      const list = await browser.open('/account/tokens')
      const page = await browser.open(/\/account\/tokens\/\w{26}\/replace/.exec(list.text)?.[0] ?? '')
      const pages = await sendPage(browser, page, { expires: '30' })
      expect(tally(pages.map(last))).toEqual({ replace: AT_ONCE })
      const tokens = pages.map(({ text }) => /mpt_\w+/.exec(text)?.[0] ?? '')
      const active = await Promise.all(tokens.map(async (token) => (await introspect(one, token)).active))
      expect(active.filter(Boolean)).toHaveLength(1)
    },
  },
  'the reset of cross-signing keys: all hear yes, the homeserver allows it': {
    claims: [],
    async run() {
      const { browser } = await person()
      const page = await browser.open('/account/reset-cross-signing')
      const pages = await sendPage(browser, page, {})
      expect(tally(pages.map(last))).toEqual({ success: AT_ONCE })
    },
  },
  'the way back from the sign-out of a provider: to the app once, the others see the start page': {
    claims: ['claimLogoutReturn'],
    async run() {
      const browser = one.browser()
      await browser.open('/')
      const [id = ''] = [...browser.cookies].flatMap(([name, value]) => (/browser/.test(name) ? [value] : []))
      const state = await noteLogoutReturn(one.deps, { id }, 'https://app.example.com/signed-out')
      const pages = await Promise.all(copies(browser).map((copy) => copy.open(`/?state=${state}`)))
      expect(tally(pages.map(placeOf))).toEqual({ app: 1, '/': AT_ONCE - 1 })
    },
  },
  'the end of a session: told once': {
    claims: ['finishBrowserSession', 'finishOAuthSessionOf'],
    async run() {
      const { browser, clientId } = await consentOf()
      const { access_token } = await exchange(one, clientId, await obtainCode(browser, clientId))
      const list = await browser.open('/account/sessions')
      const ids = [...list.text.matchAll(/name="end_(\w{26})"/g)].map(([, id]) => id)
      const fields = Object.fromEntries(ids.map((id) => [`end_${id}`, '1']))
      const browsers = copies(browser)
      const pages = await sendAll(browsers, list, '/account/sessions/end', { confirm: '1', ...fields })
      expect(pages.filter(({ status }) => status >= 400)).toEqual([])
      expect((await introspect(one, access_token)).active).toBe(false)
    },
  },
}

describe('what counts once, eight times at the same moment', () => {
  for (const [name, { run }] of Object.entries(RACES))
    test(name, async () => {
      const before = [one, two, strict, careful].map(({ logged }) => logged.length)
      await run()
      const errors = [one, two, strict, careful].flatMap(({ logged }, index) =>
        logged.slice(before[index]).filter(({ level }) => level === 'error'),
      )
      expect(errors).toEqual([])
    })
})

/** Conditional writes that are no step which somebody could take twice, by why. */
const NO_STEPS: Record<string, string[]> = {
  'state that an admin or a job sets: a second time changes nothing': [
    'unlockUser',
    'reactivateUser',
    'updateDisplayName',
    'renameUser',
    'renameOAuthSession',
    'renameCompatSession',
    'renameBrowserSession',
    'renamePersonalSession',
    'withdrawFromApps',
    'withdrawFromTokens',
    'withdrawFromCompatSessions',
    'revokeRegistrationToken',
    'reviveMails',
    'disableOtherProviders',
  ],
  'rows that are made once by their key, which no form repeats': [
    'insertClient',
    'insertDeviceGrant',
    'insertRegistrationToken',
    'insertUpstreamLink',
    'adoptUpstreamLink',
    'insertOperatorProvider',
    'insertDirectoryLink',
  ],
  'what is asked for again is limited, and the newest counts': ['renewEmailVerification'],
}
/** Cleaning, deleting and ending: done when it is done. */
const ENDS = /^(delete|finish|remove)[A-Z]/

test('every conditional write that something rests on has its race', async () => {
  const claims: string[] = []
  for await (const file of new Glob('*.ts').scan('sql')) {
    const text = await Bun.file(`sql/${file}`).text()
    for (const part of text.split(/^(?=export (?:const|function) )/m).slice(1)) {
      const [body = ''] = part.split(/^(?:\/\*\*|const |type |interface )/m)
      const isClaim =
        (/\bupdate latchkey\./.test(body) && /\bwhere\b[\s\S]*\bis null\b[\s\S]*\breturning\b/.test(body)) ||
        (/\bdelete from latchkey\./.test(body) && /\breturning\b/.test(body)) ||
        /\bon conflict\b[\s\S]*\bdo nothing\b[\s\S]*\breturning\b/.test(body)
      const [, name = ''] = /^export (?:const|function) (\w+)/.exec(part) ?? []
      if (isClaim && !ENDS.test(name)) claims.push(name)
    }
  }
  const known = new Set([
    ...Object.values(RACES).flatMap(({ claims }) => claims),
    ...Object.values(NO_STEPS).flat(),
  ])
  expect(claims.filter((name) => !known.has(name))).toEqual([])
  expect([...known].filter((name) => !claims.includes(name) && !ENDS.test(name))).toEqual([])
})
