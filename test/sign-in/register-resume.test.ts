import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, PASSWORD, registerClient } from '../support/oauth.ts'

let harness: Harness
let invited: Harness
beforeAll(async () => {
  harness = await createHarness()
  invited = await createHarness({
    config: {
      account: {
        password_registration_enabled: true,
        password_registration_email_required: false,
        password_registration_token_required: true,
      },
    },
  })
})
afterAll(async () => {
  await invited.close()
  await harness.close()
})

const fields = (username: string) => ({ username, password: PASSWORD, password_confirm: PASSWORD })
const begin = async (browser: Browser, username: string, start = '/register'): Promise<Page> =>
  (await browser.open(start)).submit(fields(username), { action: 'register/password' })
const answer = (page: Page, action: 'continue' | 'restart'): Promise<Page> =>
  page.submit({}, { action: 'register/resume', button: ['action', action] })
const TITLE = 'You have begun already'

describe('a sign-up that was left', () => {
  test('GET /register: is offered to its browser, with its name, and goes on where it stands', async () => {
    const browser = harness.browser()
    const step = await begin(browser, 'anna')
    const back = await browser.open('/register')
    expect([back.status, back.text.includes(TITLE), back.text.includes('@anna:example.test')]).toEqual([
      200,
      true,
      true,
    ])
    const on = await answer(back, 'continue')
    expect(on.url.href).toBe(step.url.href)
    await on.submit({ display_name: 'Anna', action: 'set' })
    expect((await browser.open('/')).text).toContain('@anna:example.test')
  })

  test('is nobody else’s, and over after an hour', async () => {
    const browser = harness.browser()
    await begin(browser, 'ben')
    expect((await harness.browser().open('/register')).text).not.toContain(TITLE)
    harness.clock.advance(3601)
    expect((await browser.open('/register')).text).not.toContain(TITLE)
  })

  test('“Start over” gives it up: its name is free for others at once, and its pages are gone', async () => {
    const browser = harness.browser()
    const step = await begin(browser, 'carla')
    const form = await answer(await browser.open('/register'), 'restart')
    expect([form.url.pathname, form.text.includes('name="password_confirm"')]).toEqual(['/register', true])
    expect((await begin(harness.browser(), 'carla')).url.pathname).toEndWith('/display-name')
    expect((await browser.open(step.url.href)).status).toBe(404)
  })

  test('leads where the person is going now: a request of the app that began after it', async () => {
    const { client_id } = await registerClient(harness)
    const browser = harness.browser()
    await begin(browser, 'dora')
    const sent = await browser.open(authorizeUrl(client_id, { prompt: 'create' }))
    expect(sent.text).toContain(TITLE)
    const step = await answer(sent, 'continue')
    const consent = await step.submit({ display_name: 'Dora', action: 'set' })
    expect(consent.url.pathname).toStartWith('/consent/')
  })

  test('two windows: each goes on with its own, and the one that is finished ends the offer', async () => {
    const browser = harness.browser()
    const [one, two] = [await browser.open('/register'), await browser.open('/register')]
    const first = await one.submit(fields('emil'), { action: 'register/password' })
    const second = await two.submit(fields('emilia'), { action: 'register/password' })
    expect(first.url.href).not.toBe(second.url.href)
    const done = await first.submit({ display_name: 'Emil', action: 'set' })
    expect(done.url.pathname).toBe('/')
    // Signed in by now: the other window's form is stale, and says so.
    expect((await second.submit({ display_name: 'Emilia', action: 'set' })).status).toBe(422)
  })

  test('back and the same form once more, with another name: the new one counts', async () => {
    const browser = harness.browser()
    const form = await browser.open('/register')
    await form.submit(fields('frieda'), { action: 'register/password' })
    harness.clock.advance(1)
    const second = await form.submit(fields('frida'), { action: 'register/password' })
    expect(second.url.pathname).toEndWith('/display-name')
    expect((await browser.open('/register')).text).toContain('@frida:example.test')
  })

  test('POST /register/resume without the token of our page changes nothing', async () => {
    const browser = harness.browser()
    await begin(browser, 'greta')
    await browser.post('/register/resume', { action: 'restart', csrf: 'x' })
    expect((await browser.open('/register')).text).toContain(TITLE)
  })

  test('an invitation that comes as a link while its step is open is taken; a bad one is asked for', async () => {
    const browser = invited.browser()
    expect((await begin(browser, 'hanna')).url.pathname).toEndWith('/token')
    const bad = await answer(await browser.open('/register?token=nothing'), 'continue')
    expect(bad.url.pathname).toEndWith('/token')
    const made = await createRegistrationToken(invited.deps, { usageLimit: 1, expiresAt: null })
    const good = await answer(await browser.open(`/register?token=${made?.token}`), 'continue')
    expect(good.url.pathname).toEndWith('/display-name')
  })

  test('an invitation in the link stays with “Start over”', async () => {
    const browser = invited.browser()
    await begin(browser, 'iris')
    const form = await answer(await browser.open('/register?token=Wd9kT2mQx7Lp'), 'restart')
    expect(form.url.search).toBe('?token=Wd9kT2mQx7Lp')
  })
})
