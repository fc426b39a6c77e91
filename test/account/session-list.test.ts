import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listedSessions, signInApp, signInElsewhere } from '../support/account.ts'
import { adminOf } from '../support/admin.ts'
import { type Browser, unescapeHtml } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspectLegacy, legacyLogin, refreshLegacy } from '../support/legacy.ts'
import { mmdbFile } from '../support/mmdb.ts'
import { createSignedUp, registerClient, type TokenBody } from '../support/oauth.ts'
import { personalToken } from '../support/personal.ts'

const LIST = '/account/sessions'
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0'
const KINDS = ['browser', 'oauth', 'compat', 'personal'] as const

let folder: string
let harness: Harness
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-list-'))
  const path = join(folder, 'city.mmdb')
  const city = { names: { en: 'Cologne', de: 'Köln' } }
  await Bun.write(path, mmdbFile([192, 0, 2], { city, country: { iso_code: 'DE' } }))
  harness = await createHarness({
    config: { geoip: { path }, http: { trusted_proxies: ['127.0.0.1/8'] } } as never,
  })
})
afterAll(async () => {
  await harness.close()
  await rm(folder, { recursive: true, force: true })
})

/** One person with a session of each kind, begun half a minute apart in the order of `KINDS`. */
interface Everything {
  browser: Browser
  username: string
  userId: string
  clientId: string
  app: TokenBody
  old: { access_token: string; refresh_token?: string }
  token: string
}

let people = 0
let all: Everything
beforeEach(async () => {
  const headers = { 'user-agent': FIREFOX }
  const { browser, username, userId } = await createSignedUp(harness, `person${++people}`, headers)
  const later = () => harness.clock.advance(30)
  later()
  const { client_id: clientId } = await registerClient(harness)
  const app = await signInApp(harness, browser, clientId, 'APPDEVICEA')
  later()
  const old = await legacyLogin(harness, username, {
    device_id: 'OLDDEVICE',
    initial_device_display_name: 'Zebra phone',
    refresh_token: true,
  })
  later()
  const { token } = await personalToken(harness, userId)
  later()
  all = { browser, username, userId, clientId, app, old, token }
})

const open = (query = '') => all.browser.open(LIST + query)
/** The kinds of a list, in its order. */
const kindsOf = (text: string): string[] =>
  text
    .split('<li class="session')
    .slice(1)
    .map((item) => /<p class="meta">\s*<span>([^<]*)</.exec(item)?.[1] ?? '')
    .map(
      (kind) =>
        ({ Browser: 'browser', App: 'oauth', 'App (older sign-in)': 'compat', 'Access token': 'personal' })[
          kind
        ] ?? kind,
    )
const entry = (text: string, name: string): string =>
  text.split('<li class="session').find((item) => item.includes(`<bdi>${name}</bdi>`)) ?? ''
const idOf = async (name: string): Promise<string> =>
  listedSessions(await open()).find((session) => session.name === name)?.id ?? ''
const actives = async () => {
  const active = async (token: string) => (await introspectLegacy(harness, token)).active
  return [await active(all.app.access_token), await active(all.old.access_token), await active(all.token)]
}

describe('GET /account/sessions: browser, app, older app and personal token in one list', () => {
  test('each with its kind, device, place and when it was last used; this browser is marked', async () => {
    await harness.deps.activity.flush()
    await refreshLegacy(
      { request: (path, init) => harness.request(path, withAddress(init, '192.0.2.9')) },
      all.old.refresh_token ?? '',
    )
    await harness.deps.activity.flush()
    const { text } = await open()
    expect(kindsOf(text).toSorted()).toEqual([...KINDS].toSorted())
    expect(listedSessions({ text } as never).filter(({ current }) => current)).toMatchObject([
      { name: 'Firefox, Linux' },
    ])
    expect(entry(text, 'Test App')).toContain('APPDEVICEA')
    expect(entry(text, 'A script')).toContain('SCRIPTDEVC')
    const old = unescapeHtml(entry(text, 'Zebra phone'))
    for (const fact of ['App (older sign-in)', 'OLDDEVICE', '192.0.2.9', 'Cologne, Germany'])
      expect(old).toContain(fact)
    expect(old).toMatch(/Last active <time datetime="[^"]+">just now/)
  })

  test('filtered by kind', async () => {
    expect(kindsOf((await open('?kind=browser')).text)).toEqual(['browser'])
    expect(kindsOf((await open('?kind=apps')).text).toSorted()).toEqual(['compat', 'oauth'])
    expect(kindsOf((await open('?kind=tokens')).text)).toEqual(['personal'])
    expect(kindsOf((await open('?kind=nonsense')).text)).toHaveLength(4)
  })

  test('searched by name, app and device', async () => {
    const found = async (text: string) => kindsOf((await open(`?q=${encodeURIComponent(text)}`)).text)
    expect(await found('zebra')).toEqual(['compat'])
    expect(await found('test app')).toEqual(['oauth'])
    expect(await found('a SCRIPT')).toEqual(['personal'])
    expect(await found('appdevicea')).toEqual(['oauth'])
    expect(await found('firefox')).toContain('browser')
    expect(await found('nothing like it')).toEqual([])
  })

  test('in each order, this browser first: last used, newest, by the name that is shown', async () => {
    for (const token of [all.token, all.old.access_token, all.app.access_token]) {
      await introspectLegacy(harness, token)
      harness.clock.advance(20)
      await harness.deps.activity.flush()
    }
    const other = await signInElsewhere(harness, all.username, {
      'user-agent': 'Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Edg/130.0',
    })
    harness.clock.advance(20)
    expect(kindsOf((await open('?sort=active')).text)).toEqual([
      'browser',
      'browser',
      'oauth',
      'compat',
      'personal',
    ])
    expect((await open('?sort=active')).text).toBe((await open()).text)
    expect(kindsOf((await open('?sort=created')).text)).toEqual([
      'browser',
      'browser',
      'personal',
      'compat',
      'oauth',
    ])
    const names = listedSessions(await open('?sort=name')).map(({ name }) => name)
    expect(names).toEqual(['Firefox, Linux', 'A script', 'Edge, Windows', 'Test App', 'Zebra phone'])
    // The same list from the other browser begins with that one.
    expect(listedSessions(await other.open(`${LIST}?sort=name`)).map(({ name }) => name)).toEqual([
      'Edge, Windows',
      'A script',
      'Firefox, Linux',
      'Test App',
      'Zebra phone',
    ])
  })

  test('one is signed out, or several of different kinds, and the others stay', async () => {
    const script = await idOf('A script')
    const revoke = await all.browser.open(`${LIST}/${script}/end`)
    expect(revoke.url.pathname).toBe(`/account/tokens/${script}/revoke`)
    // Nothing ends a token alone without its own page, which tells the owner by mail.
    const csrf = /name="csrf" value="([^"]+)"/.exec(revoke.text)?.[1] ?? ''
    for (const [path, fields] of [
      [`${LIST}/${script}/end`, { csrf, confirm: '1' }],
      [`${LIST}/end`, { csrf, confirm: '1', [`end_${script}`]: '1' }],
    ] as const) {
      expect((await all.browser.post(path, fields)).url.pathname).toBe(`/account/tokens/${script}/revoke`)
      expect(await actives()).toEqual([true, true, true])
    }
    expect((await revoke.submit({}, { action: '/revoke' })).text).toContain('That token is revoked.')
    expect(await actives()).toEqual([true, true, false])
    const { token } = await personalToken(harness, all.userId, { name: 'Another script' })
    all.token = token
    const ticked = [await idOf('Another script'), await idOf('Zebra phone')].map((id) => [`end_${id}`, '1'])
    const asked = await (await open()).submit(Object.fromEntries(ticked), { action: 'sessions/end' })
    expect(asked.text).toContain('Sign out of 2 devices?')
    expect((await asked.submit({}, { action: 'sessions/end' })).text).toContain('2 devices are signed out.')
    expect(await actives()).toEqual([true, false, false])
    expect(kindsOf((await open()).text).toSorted()).toEqual(['browser', 'oauth'])
  })

  test('all others at once: this browser is what is left', async () => {
    await signInElsewhere(harness, all.username)
    const asked = await all.browser.open(`${LIST}/end-others`)
    for (const name of ['browsers', 'apps', 'tokens']) expect(asked.text).toContain(`name="${name}"`)
    const done = await asked.submit({ browsers: '1', apps: '1', tokens: '1' }, { action: 'end-others' })
    expect(done.text).toContain('4 devices are signed out.')
    expect(await actives()).toEqual([false, false, false])
    expect(listedSessions(await open()).map(({ current }) => current)).toEqual([true])
  })

  test('a token that the people who run the server made is listed and can be revoked, and is not one of “all others”', async () => {
    const { token } = await personalToken(harness, all.userId, {
      name: 'Their script',
      maker: 'admin',
      owner: { userId: (await createSignedUp(harness, `helper${people}`)).userId },
    })
    const asked = await all.browser.open(`${LIST}/end-others`)
    await asked.submit({ apps: '1', tokens: '1' }, { action: 'end-others' })
    expect(listedSessions(await open()).map(({ name }) => name)).toEqual(['Firefox, Linux', 'Their script'])
    expect((await introspectLegacy(harness, token)).active).toBe(true)
    const page = await all.browser.open(`${LIST}/${await idOf('Their script')}`)
    expect(page.text).toContain(`@helper${people}:example.test`)
    expect(page.text).toContain('You did not make it yourself.')
    const revoke = await all.browser.open(`${LIST}/${await idOf('Their script')}/end`)
    await revoke.submit({}, { action: '/revoke' })
    expect((await introspectLegacy(harness, token)).active).toBe(false)
  })
})

describe('GET and POST /account/sessions/{id}, whatever kind it is', () => {
  test('the page has kind, device, place, last use, what it may do, and for a token until when it works', async () => {
    await harness.deps.activity.flush()
    await refreshLegacy(
      { request: (path, init) => harness.request(path, withAddress(init, '192.0.2.9')) },
      all.old.refresh_token ?? '',
    )
    await harness.deps.activity.flush()
    const old = await all.browser.open(`${LIST}/${await idOf('Zebra phone')}`)
    for (const fact of ['App (older sign-in)', 'OLDDEVICE', '192.0.2.9', 'Cologne, Germany', 'Last active'])
      expect(unescapeHtml(old.text)).toContain(fact)
    const script = await all.browser.open(`${LIST}/${await idOf('A script')}`)
    for (const fact of ['Access token', 'SCRIPTDEVC', 'Read and send messages', 'Revoke the token'])
      expect(script.text).toContain(fact)
    await personalToken(harness, all.userId, {
      name: 'Short',
      expiresIn: 60,
      scope: ['urn:matrix:client:api:*'],
    })
    const short = async () => (await all.browser.open(`${LIST}/${await idOf('Short')}`)).text
    expect(await short()).toContain('Works until')
    harness.clock.advance(61)
    expect(await short()).toContain('Ran out on')
  })

  test('each kind has a new name afterwards; the homeserver learns of those that are devices', async () => {
    const names = [
      ['Firefox, Linux', 'Laptop in the kitchen', undefined],
      ['Test App', 'My app', 'APPDEVICEA'],
      ['Zebra phone', 'My phone', 'OLDDEVICE'],
      ['A script', 'Nightly backup', 'SCRIPTDEVC'],
    ] as const
    for (const [before, after, device] of names) {
      const calls = harness.homeserver.callsOf('update_device_display_name').length
      const id = await idOf(before)
      const saved = await (await all.browser.open(`${LIST}/${id}`)).submit({ name: after }, { action: id })
      expect([saved.status, saved.text.includes('The new name is saved.')]).toEqual([200, true])
      expect(saved.text).toContain(`<h1><bdi>${after}</bdi>`)
      expect(await idOf(after)).toBe(id)
      const told = harness.homeserver.callsOf('update_device_display_name').slice(calls)
      expect(told.map(({ parameters }) => parameters.device_id)).toEqual(device ? [device] : [])
    }
  })

  test('a browser is renamed with bad input, as somebody else, or after it was signed out: nothing is saved', async () => {
    const elsewhere = await signInElsewhere(harness, all.username, {
      'user-agent': 'Mozilla/5.0 Android Chrome/1',
    })
    const id = await idOf('Chrome, Android')
    const page = await all.browser.open(`${LIST}/${id}`)
    const empty = await page.submit({ name: ' \t ' }, { action: id })
    expect([empty.status, empty.text.includes('Enter a name.')]).toEqual([422, true])
    const long = await page.submit({ name: 'ä'.repeat(101) }, { action: id })
    expect([long.status, long.text.includes('at most 100 characters')]).toEqual([422, true])
    const foreign = await all.browser.post(`${LIST}/${id}`, { name: 'Kept', csrf: 'A'.repeat(43) })
    expect([foreign.status, foreign.text.includes('value="Kept"')]).toEqual([422, true])
    const { browser: stranger } = await createSignedUp(harness, `stranger${people}`)
    const form = await stranger.open(`${LIST}/${listedSessions(await stranger.open(LIST))[0]?.id}`)
    const csrf = /name="csrf" value="([^"]+)"/.exec(form.text)?.[1] ?? ''
    expect((await stranger.post(`${LIST}/${id}`, { csrf, name: 'Mine now' })).text).toContain(
      'already signed out',
    )
    expect(await idOf('Chrome, Android')).toBe(id)
    const html = await page.submit({ name: '<b>"x"</b>' }, { action: id })
    expect(html.text).toContain('&lt;b&gt;')
    expect(html.text).not.toContain('<b>"x"')
    const zero = await page.submit({ name: 'a\0b' }, { action: id })
    expect([zero.status, zero.text.includes('<h1><bdi>a\ufffdb</bdi>')]).toEqual([200, true])
    await (await elsewhere.open(`${LIST}/${id}/end`)).submit({}, { action: `${id}/end` })
    expect((await page.submit({ name: 'Too late' }, { action: id })).text).toContain('already signed out')
  })

  test('the name of a browser is in the export and in the admin API, and finds it', async () => {
    const id = await idOf('Firefox, Linux')
    await (await all.browser.open(`${LIST}/${id}`)).submit({ name: 'Kitchen' }, { action: id })
    expect(kindsOf((await open('?q=kitchen')).text)).toEqual(['browser'])
    const file = await (await all.browser.open('/account/data')).submit({}, { action: 'export' })
    expect(JSON.parse(file.text).browsers.map(({ name }: { name: string }) => name)).toContain('Kitchen')
    const { api } = await adminOf(harness)
    const { attributes } = (await api('GET', `/user-sessions/${id}`)).body.data
    expect(attributes.human_name).toBe('Kitchen')
  })
})

/** A request that a proxy passed on. */
function withAddress(init: RequestInit | undefined, ip: string): RequestInit {
  const headers = new Headers(init?.headers)
  headers.set('x-forwarded-for', ip)
  return { ...init, headers }
}
