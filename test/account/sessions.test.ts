import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { csrfOf, listedSessions, signInApp, signInElsewhere } from '../support/account.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, signedInApp, type TokenBody } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const LIST = '/account/sessions'
let people = 0
let username: string
let browser: Browser
let clientId: string
let tokens: TokenBody
beforeEach(async () => {
  username = `person${++people}`
  ;({ browser, clientId, tokens } = await signedInApp(harness, username))
})

const list = async (query = '') => listedSessions(await browser.open(LIST + query))
const isActive = async (token: TokenBody) => (await introspect(harness, token.access_token)).active
const appOf = async () => (await list('?kind=apps')).find(({ current }) => !current)?.id ?? ''

describe('GET /account/sessions', () => {
  test('lists browsers and apps, this one first and marked', async () => {
    await signInElsewhere(harness, username)
    const sessions = await list()
    expect(sessions).toHaveLength(3)
    expect(sessions.map(({ current }) => current)).toEqual([true, false, false])
  })

  test('finds by kind, by name, app, device and address, and in three orders', async () => {
    await signInApp(harness, browser, clientId, 'PHONEPHONE')
    expect(await list('?kind=browser')).toHaveLength(1)
    expect(await list('?kind=apps')).toHaveLength(2)
    expect(await list('?q=phonePHONE')).toHaveLength(1)
    expect(await list('?q=%25')).toHaveLength(0)
    expect((await browser.open(`${LIST}?q=zzzz`)).text).toContain('Nothing fits your search.')
    for (const sort of ['active', 'created', 'name', 'nonsense'])
      expect(await list(`?sort=${sort}`)).toHaveLength(3)
  })

  test('shows 10 at a time, and keeps what was asked for on the next page', async () => {
    for (let i = 0; i < 12; i++) await signInElsewhere(harness, username)
    const first = await browser.open(`${LIST}?kind=browser&sort=created`)
    expect(listedSessions(first)).toHaveLength(10)
    expect(first.text).toContain('Page 1 of 2')
    expect(first.text).toContain('href="/account/sessions?kind=browser&amp;sort=created&amp;page=2"')
    const ids = [...listedSessions(first), ...(await list('?kind=browser&sort=created&page=2'))]
    expect(new Set(ids.map(({ id }) => id)).size).toBe(13)
    for (const page of ['3', '0', '-1', '1e9', 'x'])
      expect(await list(`?kind=browser&page=${page}`)).toHaveLength(10)
  })
})

describe('GET and POST /account/sessions/{id}', () => {
  test('tells what is known: the app, the device, the browser that it was begun in, what it may do', async () => {
    const page = await browser.open(`${LIST}/${await appOf()}`)
    expect(page.status).toBe(200)
    for (const text of ['AAAAAAAAAA', 'Read and send messages', 'This browser', 'About this device'])
      expect(page.text).toContain(text)
  })

  test('a new name is kept here and sent to the homeserver', async () => {
    const id = await appOf()
    const page = await browser.open(`${LIST}/${id}`)
    const saved = await page.submit({ name: '  My   phone ' }, { action: `sessions/${id}` })
    expect([saved.url.pathname, saved.status]).toEqual([`${LIST}/${id}`, 200])
    expect(saved.text).toContain('The new name is saved.')
    expect(saved.text).toContain('<h1><bdi>My phone</bdi>')
    expect(harness.homeserver.callsOf('update_device_display_name').at(-1)?.parameters).toMatchObject({
      device_id: 'AAAAAAAAAA',
      display_name: 'My phone',
    })
  })

  test('no name, one that is too long, or a form of another site: nothing is saved and the text stays', async () => {
    const id = await appOf()
    const page = await browser.open(`${LIST}/${id}`)
    const calls = harness.homeserver.callsOf('update_device_display_name').length
    expect((await page.submit({ name: ' ' }, { action: `sessions/${id}` })).text).toContain('Enter a name.')
    const long = await page.submit({ name: 'x'.repeat(101) }, { action: `sessions/${id}` })
    expect([long.status, long.text.includes('at most 100 characters')]).toEqual([422, true])
    const foreign = await browser.post(`${LIST}/${id}`, { name: 'Kept text', csrf: 'A'.repeat(43) })
    expect([foreign.status, foreign.text.includes('value="Kept text"')]).toEqual([422, true])
    expect(harness.homeserver.callsOf('update_device_display_name')).toHaveLength(calls)
  })

  test('the homeserver is down: it says so, and the old name stays', async () => {
    const id = await appOf()
    const page = await browser.open(`${LIST}/${id}`)
    harness.homeserver.down = true
    const failed = await page.submit({ name: 'Other' }, { action: `sessions/${id}` })
    harness.homeserver.down = false
    expect([failed.status, failed.headers.get('retry-after')]).toEqual([503, '5'])
    expect(failed.text).toContain('The homeserver does not answer right now.')
    expect((await list()).map(({ name }) => name)).not.toContain('Other')
  })

  test('somebody else’s session is not there, to see or to rename', async () => {
    const id = await appOf()
    const { browser: other } = await signedInApp(harness, `${username}-other`)
    expect((await other.open(`${LIST}/${id}`)).url.pathname).toBe(LIST)
    const csrf = csrfOf(await other.open(LIST))
    const page = await other.post(`${LIST}/${id}`, { csrf, name: 'Mine' })
    expect(page.url.pathname).toBe(LIST)
    expect((await list()).map(({ name }) => name)).not.toContain('Mine')
    for (const nonsense of ['x', '%00', '01J00000000000000000000000'])
      expect((await other.open(`${LIST}/${nonsense}`)).status).toBeLessThan(500)
  })
})

describe('POST /account/sessions/end', () => {
  test('those with a tick end after a page that says what this means; going back and again ends nothing twice', async () => {
    const second = await signInApp(harness, browser, clientId, 'SECONDSECOND')
    const csrf = csrfOf(await browser.open(LIST))
    const ids = (await list('?kind=apps'))
      .filter(({ current }) => !current)
      .map(({ id }) => [`end_${id}`, '1'])
    expect(ids).toHaveLength(2)
    const asked = await browser.post(`${LIST}/end`, { csrf, ...Object.fromEntries(ids) })
    expect(asked.text).toContain('Sign out of 2 devices?')
    expect([await isActive(tokens), await isActive(second)]).toEqual([true, true])
    const done = await asked.submit({}, { action: 'sessions/end' })
    expect(done.text).toContain('2 devices are signed out.')
    expect([await isActive(tokens), await isActive(second)]).toEqual([false, false])
    await harness.runJobs()
    expect(harness.homeserver.devicesOf(username)).toEqual([])
    expect((await asked.submit({}, { action: 'sessions/end' })).text).toContain('already signed out')
  })

  test('nothing ticked, somebody else’s id, and a form of another site end nothing', async () => {
    const id = await appOf()
    const csrf = csrfOf(await browser.open(LIST))
    expect((await browser.post(`${LIST}/end`, { csrf, confirm: '1' })).text).toContain('Nothing was ticked.')
    await browser.post(`${LIST}/end`, { csrf: 'A'.repeat(43), confirm: '1', [`end_${id}`]: '1' })
    const { browser: other } = await signedInApp(harness, `${username}-other`)
    const theirs = csrfOf(await other.open(LIST))
    await other.post(`${LIST}/end`, { csrf: theirs, confirm: '1', [`end_${id}`]: '1' })
    expect(await isActive(tokens)).toBe(true)
  })
})

describe('/account/sessions/end-others', () => {
  const END = `${LIST}/end-others`

  test('ends the other browsers, the apps, or both; this browser stays', async () => {
    const elsewhere = await signInElsewhere(harness, username)
    const browsers = await (await browser.open(END)).submit({ browsers: '1' }, { action: 'end-others' })
    expect(browsers.text).toContain('One device is signed out.')
    expect((await elsewhere.open(LIST)).url.pathname).toBe('/login')
    expect(await isActive(tokens)).toBe(true)
    const apps = await (await browser.open(END)).submit({ apps: '1' }, { action: 'end-others' })
    expect(apps.text).toContain('One device is signed out.')
    expect(await isActive(tokens)).toBe(false)
    expect(await list()).toHaveLength(1)
    expect((await browser.open(END)).text).toContain('You are signed in nowhere else.')
  })

  test('nothing ticked, or a form of another site: it is asked again', async () => {
    const none = await (await browser.open(END)).submit({}, { action: 'end-others' })
    expect([none.status, none.text.includes('Tick at least one')]).toEqual([422, true])
    const foreign = await browser.post(END, { csrf: 'A'.repeat(43), apps: '1' })
    expect(foreign.status).toBe(422)
    expect(await isActive(tokens)).toBe(true)
  })
})
