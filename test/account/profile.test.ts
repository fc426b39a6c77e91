import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { signUp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const PROFILE = '/account/profile'
let people = 0
let username: string
let browser: Browser
beforeEach(async () => {
  username = `person${++people}`
  browser = harness.browser()
  await signUp(browser, username)
  await harness.runJobs()
})

const nameThere = () => harness.homeserver.users.get(username)?.displayName
const save = async (display_name: string) =>
  (await browser.open(PROFILE)).submit({ display_name }, { action: PROFILE })

describe('POST /account/profile: the display name', () => {
  test('is the homeserver’s and ours; empty takes it away', async () => {
    const saved = await save('  Ada L.  ')
    expect([saved.url.pathname, saved.text.includes('Your display name is saved.')]).toEqual([PROFILE, true])
    expect(nameThere()).toBe('Ada L.')
    expect(saved.text).toContain('<strong><bdi>Ada L.</bdi></strong>')
    await save('')
    expect(nameThere()).toBeUndefined()
  })

  test('shows what a Matrix app made of it meanwhile', async () => {
    const user = harness.homeserver.users.get(username)
    if (user) user.displayName = 'Changed in the app'
    expect((await browser.open(PROFILE)).text).toContain('value="Changed in the app"')
  })

  test('too many bytes, or a form of another site: it is shown again as it was typed', async () => {
    const long = await save('é'.repeat(128))
    expect([long.status, long.text.includes('too long')]).toEqual([422, true])
    expect((await save('é'.repeat(127))).status).toBe(200)
    const foreign = await browser.post(PROFILE, { display_name: 'Kept text', csrf: 'A'.repeat(43) })
    expect([foreign.status, foreign.text.includes('value="Kept text"')]).toEqual([422, true])
    expect(nameThere()).toBe('é'.repeat(127))
  })

  test('the homeserver is down: 503, and the text stays in the form', async () => {
    harness.homeserver.down = true
    const failed = await save('Not now')
    harness.homeserver.down = false
    expect([failed.status, failed.headers.get('retry-after')]).toEqual([503, '5'])
    expect(failed.text).toContain('value="Not now"')
    expect(nameThere()).not.toBe('Not now')
  })

  test('an operator who fixes names: there is no field, and a form changes nothing', async () => {
    const fixed = await createHarness({
      beside: harness,
      config: { account: { displayname_change_allowed: false } } as never,
    })
    const other = fixed.browser()
    for (const [name, value] of browser.cookies) other.cookies.set(name, value)
    const page = await other.open(PROFILE)
    expect(page.text).not.toContain('name="display_name"')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    expect((await other.post(PROFILE, { csrf, display_name: 'Forced' })).status).toBe(422)
    expect(nameThere()).not.toBe('Forced')
    await fixed.close()
  })
})

describe('POST /account/profile/preferences: language and time zone', () => {
  const choose = async (fields: Record<string, string>) =>
    (await browser.open(PROFILE)).submit(fields, { action: 'preferences' })

  test('pages are in the language and in the time zone that were chosen', async () => {
    const german = await choose({ locale: 'de', time_zone: 'Asia/Kolkata' })
    expect(german.text).toContain('<html lang="de"')
    expect(german.text).toContain('Deine Einstellungen sind gespeichert.')
    const sessions = await browser.open('/account/sessions')
    const id = /account\/sessions\/(\w{26})"/.exec(sessions.text)?.[1] ?? ''
    expect((await browser.open(`/account/sessions/${id}`)).text).toContain('17:30')
  })

  test('back to what the browser says; what nobody knows counts as that', async () => {
    await choose({ locale: 'de', time_zone: 'Europe/Berlin' })
    const page = await choose({ locale: 'xx', time_zone: 'Mars/Olympus' })
    expect(page.text).toContain('<html lang="en"')
    expect(page.text).not.toContain('<option selected>')
  })
})
