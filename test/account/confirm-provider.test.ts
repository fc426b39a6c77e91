import { afterAll, beforeAll, expect, test } from 'bun:test'
import { csrfOf } from '../support/account.ts'
import { type Browser, copyCookies, readForms } from '../support/browser.ts'
import { PASSWORD, signUp } from '../support/oauth.ts'
import { PROVIDER, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

let world: UpstreamWorld
beforeAll(async () => {
  world = await upstreamWorld()
})
afterAll(() => world.close())

const ID = '01JDFX2V9S6QK3W4Z5Y7T8R9PB'
/** What a stranger at an open screen must not do, and the page that a confirmed person is led to. */
const RISKY: Record<string, string> = {
  'GET /account/emails/add': `/account/emails/add`,
  'POST /account/emails/add': `/account/emails/add`,
  'POST /account/emails/{id}/primary': `/account/emails`,
  'GET /account/emails/{id}/remove': `/account/emails/${ID}/remove`,
  'POST /account/emails/{id}/remove': `/account/emails/${ID}/remove`,
  'GET /account/tokens/new': `/account/tokens/new`,
  'POST /account/tokens/new': `/account/tokens/new`,
  'GET /account/tokens/{id}/replace': `/account/tokens/${ID}/replace`,
  'POST /account/tokens/{id}/replace': `/account/tokens/${ID}/replace`,
  'POST /account/data/export': `/account/data`,
  'GET /account/deactivate': `/account/deactivate`,
  'POST /account/deactivate': `/account/deactivate`,
  'GET /account/reset-cross-signing': `/account/reset-cross-signing`,
  'POST /account/reset-cross-signing': `/account/reset-cross-signing`,
  'GET /account/linked/{id}/unlink': `/account/linked/${ID}/unlink`,
  'POST /account/linked/{id}/unlink': `/account/linked/${ID}/unlink`,
}
/** They ask for the password in their own form, or undo something for whoever has the link of a mail. */
const ASKS_ITSELF = ['POST /account/password/change']

let people = 0
/** Somebody who has an identity elsewhere and no password, signed in for longer than ten minutes. */
async function person(): Promise<{ browser: Browser; sub: string }> {
  const sub = `person${++people}`
  world.fake.claims = { sub, preferred_username: sub, name: sub }
  const browser = world.harness.browser()
  const done = await signUpThere(await world.through(browser), { username: sub, import_display_name: 'on' })
  expect(done.text).toContain(`@${sub}:`)
  world.harness.clock.advance(601)
  return { browser, sub }
}

const send = (browser: Browser, route: string, csrf: string) => {
  const [method, path = ''] = route.split(' ')
  const address = path.replace('{id}', ID)
  return method === 'GET' ? browser.open(address) : browser.post(address, { csrf, confirm: '1' })
}

test('after ten minutes these routes of the account area ask who it is, and no others', async () => {
  const { browser } = await person()
  const csrf = csrfOf(await browser.open('/account/sessions'))
  const asking: string[] = []
  for (const { method, path } of world.harness.app.routes) {
    const route = `${method} ${path}`
    if (!path.startsWith('/account/') || path === '/account/confirm') continue
    // Each from the same cookies: one of them signs this browser out.
    const copy = copyCookies(browser, world.harness.browser())
    const page = await send(copy, route, csrf)
    if (page.url.pathname === '/account/confirm') asking.push(route)
  }
  expect(asking.toSorted()).toEqual(Object.keys(RISKY).toSorted())
  for (const route of ASKS_ITSELF) expect(asking).not.toContain(route)
})

test.each(Object.entries(RISKY))(
  '%s, without a password: a new sign-in at the provider confirms it, and leads to where it goes on',
  async (route, goal) => {
    const { browser, sub } = await person()
    const csrf = csrfOf(await browser.open('/account/sessions'))
    const asked = await send(browser, route, csrf)
    expect([asked.url.pathname, asked.status]).toEqual(['/account/confirm', 200])
    // There is no password to ask for, and a guessed one opens nothing.
    expect(asked.text).not.toContain('name="password"')
    expect(asked.text).toContain('Sign out and in again')
    const guessed = await browser.post(asked.url.pathname + asked.url.search, { csrf, password: PASSWORD })
    expect([guessed.url.pathname, guessed.status]).toEqual(['/account/confirm', 422])
    const out = readForms(asked.text.slice(asked.text.indexOf('<main'))).find(
      ({ action }) => action === '/logout',
    )
    const login = await browser.post('/logout', out?.hidden ?? {})
    expect([login.url.pathname, browser.cookies.has('session')]).toEqual(['/login', false])
    const away = new RegExp(`href="(/upstream/authorize/${PROVIDER}[^"]*)"`).exec(login.text)?.[1] ?? ''
    world.fake.claims = { sub, preferred_username: sub, name: sub }
    const back = await world.through(browser, away.replaceAll('&amp;', '&'))
    // It is fresh now: the page is there, or says that there is no such thing any more.
    expect([404, 200]).toContain(back.status)
    expect([goal, goal.split('/').slice(0, 3).join('/')]).toContain(back.url.pathname)
    expect((await browser.open('/account/')).text).toContain(`@${sub}:`)
    expect((await browser.open('/account/deactivate')).url.pathname).toBe('/account/deactivate')
  },
)

test('a person with a password is asked for it on the same routes', async () => {
  const browser = world.harness.browser()
  await signUp(browser, 'with-password')
  world.harness.clock.advance(601)
  const csrf = csrfOf(await browser.open('/account/sessions'))
  for (const route of Object.keys(RISKY)) {
    const asked = await send(browser, route, csrf)
    expect([route, asked.url.pathname, asked.text.includes('name="password"')]).toEqual([
      route,
      '/account/confirm',
      true,
    ])
  }
})
