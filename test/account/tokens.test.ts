import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { API_SCOPE, introspect, PASSWORD, signUp } from '../support/oauth.ts'
import { personalToken } from '../support/personal.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

let people = 0
let username: string
let browser: Browser
beforeEach(async () => {
  await harness.runJobs()
  username = `person${++people}`
  browser = harness.browser()
  await signUp(browser, username)
})

const userId = async (name = username): Promise<string> =>
  (await findUserByName(harness.deps.sql, name, name))[0]?.id ?? ''
const makeAdmin = () =>
  harness.database.sql`update latchkey.users set is_admin = true where username = ${username}`

const FIELDS = { token_name: 'Reminders', scope_matrix_api: '1', device: '1', expires: '30' }
const create = async (fields: Record<string, string> = FIELDS): Promise<Page> =>
  (await browser.open('/account/tokens/new')).submit(fields, { action: 'tokens/new' })
const tokenOn = (page: Page): string => /mpt_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}/.exec(page.text)?.[0] ?? ''
/** Where the list leads for its first token. */
const linkTo = async (what: 'replace' | 'revoke'): Promise<string> =>
  new RegExp(`/account/tokens/\\w+/${what}`).exec((await browser.open('/account/tokens')).text)?.[0] ?? ''
const isActive = async (token: string) => (await introspect(harness, token)).active
const ownDevices = () => harness.homeserver.devicesOf(username)

describe('POST /account/tokens/new', () => {
  test('shows the token once, with a device of its own, until the chosen day', async () => {
    const page = await create()
    expect([page.status, page.headers.get('cache-control')]).toEqual([200, 'no-store'])
    const token = tokenOn(page)
    const answer = await introspect(harness, token)
    expect(answer).toMatchObject({ active: true, username, expires_in: 30 * 24 * 3600 })
    const [device = ''] = ownDevices()
    expect(device).toMatch(/^[A-Z]{10}$/)
    expect(String(answer.scope)).toContain(`urn:matrix:client:device:${device}`)
    const list = await browser.open('/account/tokens')
    expect(list.text).not.toContain('mpt_')
    for (const text of [
      'Reminders',
      device,
      'Works until',
      'Dec 24, 2026, 12:00',
      'Not used yet',
      'Read and send messages',
    ])
      expect(list.text).toContain(text)
    expect(JSON.stringify(harness.logged)).not.toContain(token)
  })

  test('without a device there is none; without an end it works on', async () => {
    const token = tokenOn(await create({ token_name: 'x', scope_matrix_api: '1', expires: 'never' }))
    expect(ownDevices()).toEqual([])
    harness.clock.advance(10 * 365 * 24 * 3600)
    expect(await introspect(harness, token)).toMatchObject({
      active: true,
      scope: expect.not.stringContaining('device'),
    })
  })

  test('a form that lacks something is shown again with what was typed', async () => {
    const page = await create({ token_name: ' ', device: '1', expires: 'never' })
    expect(page.status).toBe(422)
    expect(page.text).toContain('2 things need your attention')
    expect(page.text).toContain('<option value="never" selected>')
    const long = await create({ ...FIELDS, token_name: 'a'.repeat(101) })
    expect([long.status, long.text.includes('Use at most 100 characters')]).toEqual([422, true])
    expect((await create({ ...FIELDS, token_name: 'a\u0007b' })).status).toBe(422)
    expect((await browser.open('/account/tokens')).text).toContain('No tokens yet.')
  })

  test('a form of another site makes nothing', async () => {
    const page = await browser.post('/account/tokens/new', { ...FIELDS, csrf: 'A'.repeat(43) })
    expect([page.status, tokenOn(page)]).toEqual([422, ''])
    expect(page.text).toContain('open for too long')
  })

  test('admin scopes are offered to admins only, and nobody else gets them', async () => {
    expect((await browser.open('/account/tokens/new')).text).not.toContain('scope_synapse_admin')
    const refused = await create({ ...FIELDS, scope_synapse_admin: '1', scope_mas_admin: '1' })
    expect([refused.status, tokenOn(refused)]).toEqual([422, ''])
    expect(refused.text).toContain('The rules of this server do not allow this.')
    await makeAdmin()
    const token = tokenOn(await create({ token_name: 'Moderation', scope_synapse_admin: '1', expires: '7' }))
    // Synapse's admin API is used through the Matrix API.
    expect(String((await introspect(harness, token)).scope).split(' ')).toEqual([
      API_SCOPE,
      'urn:matrix:org.matrix.msc2967.client:api:*',
      'urn:synapse:admin:*',
    ])
  })

  test('asks who it is when the sign-in is older than ten minutes', async () => {
    harness.clock.advance(601)
    const confirm = await browser.open('/account/tokens/new')
    expect(confirm.url.pathname).toBe('/account/confirm')
    const form = await confirm.submit({ password: PASSWORD }, { action: 'confirm' })
    expect(form.url.pathname).toBe('/account/tokens/new')
    harness.clock.advance(601)
    const late = await form.submit(FIELDS, { action: 'tokens/new' })
    expect([late.url.pathname, tokenOn(late)]).toEqual(['/account/confirm', ''])
  })

  test('a homeserver that is away: 503, the form keeps what was typed, and there is no token', async () => {
    harness.homeserver.failOnce('upsert_device')
    const page = await create()
    expect([page.status, page.headers.get('retry-after'), tokenOn(page)]).toEqual([503, '5', ''])
    expect(page.text).toContain('value="Reminders"')
    expect((await browser.open('/account/tokens')).text).toContain('No tokens yet.')
    expect(tokenOn(await page.submit(FIELDS, { action: 'tokens/new' }))).not.toBe('')
  })
})

describe('replacing and revoking', () => {
  test('POST /account/tokens/{id}/replace: the old one stops, the new one is shown', async () => {
    const first = tokenOn(await create())
    const asked = await browser.open(await linkTo('replace'))
    expect(await isActive(first)).toBe(true)
    const second = tokenOn(await asked.submit({ expires: '7' }, { action: 'replace' }))
    expect([await isActive(first), await isActive(second), second === first]).toEqual([false, true, false])
  })

  test('POST …/replace: not for somebody who could not grant it any more', async () => {
    await makeAdmin()
    const first = tokenOn(await create({ ...FIELDS, scope_mas_admin: '1' }))
    await harness.database.sql`update latchkey.users set is_admin = false where username = ${username}`
    const page = await (await browser.open(await linkTo('replace'))).submit(
      { expires: '7' },
      { action: 'replace' },
    )
    expect([page.status, tokenOn(page), await isActive(first)]).toEqual([422, '', true])
  })

  test('POST …/revoke: says first what it means, then it is off and its device goes', async () => {
    const token = tokenOn(await create())
    const link = await linkTo('revoke')
    harness.clock.advance(3600)
    const asked = await browser.open(link)
    expect(asked.text).toContain('Its device goes too')
    expect(await isActive(token)).toBe(true)
    const done = await asked.submit({}, { action: 'revoke' })
    expect([done.url.pathname, done.text.includes('That token is revoked.')]).toEqual([
      '/account/tokens',
      true,
    ])
    expect(await isActive(token)).toBe(false)
    await harness.runJobs()
    expect(ownDevices()).toEqual([])
    expect((await browser.open(link)).text).toContain('That token was already revoked.')
  })

  test('GET /account/: a link to the device of a token leads to that token (MSC4191)', async () => {
    await create()
    const [device = ''] = ownDevices()
    const link = `/account/?action=org.matrix.device_delete&device_id=${device}`
    expect((await browser.open(link)).url.pathname).toBe(await linkTo('revoke'))
    const view = await browser.open(link.replace('delete', 'view'))
    expect(view.url.pathname).toBe('/account/tokens')
  })

  test('POST …/revoke: a form of another site revokes nothing', async () => {
    const token = tokenOn(await create())
    await browser.post(await linkTo('revoke'), { csrf: 'A'.repeat(43) })
    expect(await isActive(token)).toBe(true)
  })

  test("somebody else's token is not there", async () => {
    await create()
    const [replace, revoke] = [await linkTo('replace'), await linkTo('revoke')]
    const other = harness.browser()
    await signUp(other, `other${people}`)
    for (const link of [replace, revoke]) expect((await other.open(link)).status).toBe(404)
    const csrf = /name="csrf" value="([^"]+)"/.exec((await other.open('/account/')).text)?.[1] ?? ''
    for (const link of [replace, revoke])
      expect((await other.post(link, { csrf, expires: '7' })).status).toBe(404)
  })
})

test('POST /account/tokens/new: with as many sessions as the soft limit there is none, and the page says why', async () => {
  const limited = await createHarness({
    config: { experimental: { session_limit: { soft_limit: 1, hard_limit: 2 } } },
  })
  try {
    const visitor = limited.browser()
    await signUp(visitor, 'alice')
    const make = async () =>
      (await visitor.open('/account/tokens/new')).submit(FIELDS, { action: 'tokens/new' })
    expect(tokenOn(await make())).not.toBe('')
    const full = await make()
    expect([full.status, tokenOn(full)]).toEqual([422, ''])
    expect(full.text).toContain('on too many devices')
    // Another token for the same session is no session more.
    const [, link = ''] =
      /(\/account\/tokens\/\w+\/replace)/.exec((await visitor.open('/account/tokens')).text) ?? []
    expect(
      tokenOn(await (await visitor.open(link)).submit({ expires: '7' }, { action: 'replace' })),
    ).not.toBe('')
  } finally {
    await limited.close()
  }
})

test('a token that an administrator made for a person: both see it, the person may revoke it, neither replaces it', async () => {
  const owner = harness.browser()
  await signUp(owner, `admin${people}`)
  const { token } = await personalToken(harness, await userId(), {
    maker: 'admin',
    owner: { userId: await userId(`admin${people}`) },
    name: 'Bridge',
  })
  expect((await owner.open('/account/tokens')).text).toContain(`@${username}:example.test`)
  const mine = await browser.open('/account/tokens')
  expect(mine.text).toContain(`Made by <bdi class="mxid" dir="ltr">@admin${people}:example.test`)
  expect(await linkTo('replace')).toBe('')
  const revoke = await linkTo('revoke')
  for (const one of [browser, owner])
    expect((await one.open(revoke.replace('revoke', 'replace'))).status).toBe(404)
  await (await browser.open(revoke)).submit({}, { action: 'revoke' })
  expect(await isActive(token)).toBe(false)
})

test('a new password, and signing out everywhere else, may end the tokens that I made; not those of others', async () => {
  const mine = tokenOn(await create())
  const other = harness.browser()
  await signUp(other, `owner${people}`)
  const theirs = await personalToken(harness, await userId(), {
    maker: 'admin',
    owner: { userId: await userId(`owner${people}`) },
    scope: [API_SCOPE],
  })
  const change = async (from: string, to: string, fields: Record<string, string>) => {
    const page = await browser.open('/account/password/change')
    const passwords = { current_password: from, password: to, password_confirm: to }
    const done = await page.submit({ ...passwords, ...fields }, { action: 'password/change' })
    expect(done.status).toBe(200)
  }
  const next = `${PASSWORD} and more`
  await change(PASSWORD, next, { end_apps: '1' })
  expect(await isActive(mine)).toBe(true)
  await change(next, PASSWORD, { end_tokens: '1' })
  expect([await isActive(mine), await isActive(theirs.token)]).toEqual([false, true])

  const again = tokenOn(await create())
  const page = await browser.open('/account/sessions/end-others')
  expect(page.text).toContain('One access token')
  await page.submit({ tokens: '1' }, { action: 'end-others' })
  expect([await isActive(again), await isActive(theirs.token)]).toEqual([false, true])
  await harness.runJobs()
  expect(ownDevices()).toEqual([])
})
