import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findPassword, findUserByName } from '../../sql/users.ts'
import type { Browser, Page } from '../support/browser.ts'
import { selfSigned } from '../support/certificate.ts'
import { company, DIRECTORY_PASSWORD, directoryHarness, signInAs } from '../support/directory.ts'
import type { Harness } from '../support/harness.ts'
import { createPerson, passwordLogin, postMatrix } from '../support/legacy.ts'
import { PASSWORD } from '../support/oauth.ts'
import { DIRECTORY_NAME, hasSlapd, type Slapd, startSlapd } from '../support/slapd.ts'

const there = hasSlapd()
let slapd: Slapd
let harness: Harness
beforeAll(async () => {
  if (!there) return
  slapd = await startSlapd(company())
  harness = await directoryHarness(slapd)
})
afterAll(async () => {
  await harness?.close()
  await slapd?.close()
})

const user = async (name: string) => (await findUserByName(harness.deps.sql, name, name))[0]
const signIn = (username: string, password?: string, browser: Browser = harness.browser()): Promise<Page> =>
  signInAs(browser, username, password)

describe.skipIf(!there)('a password that the directory knows', () => {
  test('POST /login: somebody whom nobody knows here gets an account, with what their entry says', async () => {
    const browser = harness.browser()
    const page = await signIn('anna', DIRECTORY_PASSWORD, browser)
    expect([page.status, page.url.pathname]).toEqual([200, '/'])
    expect(browser.cookies.has('session')).toBe(true)
    const anna = await user('anna')
    expect(anna?.display_name).toBe('Anna Harbour')
    expect(anna?.is_admin).toBe(false)
    expect(await findPassword(harness.deps.sql, anna?.id ?? '')).toHaveLength(0)
    expect(harness.homeserver.users.get('anna')?.displayName).toBe('Anna Harbour')
    expect(harness.homeserver.accountOf('anna').emails).toEqual(['anna@harbour.example'])
  })

  test('POST /_matrix/client/v3/login: the same, for an older client', async () => {
    const login = { ...passwordLogin('Bruno'), password: DIRECTORY_PASSWORD }
    const { status, body } = await postMatrix(harness, 'login', login)
    expect(status).toBe(200)
    expect(body.user_id).toBe('@bruno:example.test')
    expect(harness.homeserver.devicesOf('bruno')).toEqual([String(body.device_id)])
  })

  test('the second sign-in leads into the same account', async () => {
    const before = await user('anna')
    expect((await signIn('anna')).url.pathname).toBe('/')
    expect((await signIn('@anna:example.test')).url.pathname).toBe('/')
    expect(await user('anna')).toEqual(before)
  })

  test.each(['anna', 'nobody', 'clara'])('a wrong one of %s is refused, and makes nothing', async (name) => {
    const page = await signIn(name, 'wrong')
    expect(page.status).toBe(422)
    expect(page.text).toContain('The username or the password is not right.')
    expect(await user('clara')).toBeUndefined()
    const { status, body } = await postMatrix(harness, 'login', passwordLogin(name))
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })

  test('an account of our own with the name of an entry stays its owner’s', async () => {
    await createPerson(harness, 'clara')
    expect((await signIn('clara')).status).toBe(422)
    expect((await signIn('clara', PASSWORD)).url.pathname).toBe('/')
  })
})

describe.skipIf(!there)('a directory that cannot be asked is an outage, whatever the reason', () => {
  test.each<[string, () => Promise<Parameters<typeof directoryHarness>[1]>]>([
    ['nobody is at its address', async () => ({ urls: ['ldaps://127.0.0.1:9'] })],
    [
      'its certificate is of nobody known',
      async () => ({ tls: { ca: (await selfSigned('a.test')).cert, server_name: DIRECTORY_NAME } }),
    ],
    ['its certificate is another’s', async () => ({ tls: { ca: slapd.ca, server_name: 'other.test' } })],
    ['the reader has another password', async () => ({ bind_password: 'wrong' })],
    [
      'the reader may not search there',
      async () => ({ search: { base: 'dc=no', filter: '(uid={{ username }})' } }),
    ],
  ])('%s', async (_, section) => {
    const own = await directoryHarness(slapd, await section(), { beside: harness })
    const page = await signIn('dora', DIRECTORY_PASSWORD, own.browser())
    expect([page.status, page.headers.get('retry-after')]).toEqual([503, '5'])
    expect(page.text).not.toContain('The username or the password is not right.')
    const login = { ...passwordLogin('dora'), password: DIRECTORY_PASSWORD }
    const { status, body, headers } = await postMatrix(own, 'login', login)
    expect([status, headers.get('retry-after')]).toEqual([503, '5'])
    expect(body.errcode).not.toBe('M_FORBIDDEN')
    const events = own.logged.map(({ event }) => event)
    expect(events).toContain('directory.failed')
    expect(events).not.toContain('login.failed')
    expect(JSON.stringify(own.logged)).not.toContain(DIRECTORY_PASSWORD)
    expect(await user('dora')).toBeUndefined()
    await own.close()
  })
})

test.skipIf(!there)('a directory that is away is an outage and not a wrong password', async () => {
  const inside = harness.browser()
  await signIn('anna', DIRECTORY_PASSWORD, inside)
  harness.clock.advance(3600)
  const confirm = await inside.open('/account/confirm?kind=manage_account&page=profile')
  await slapd.pause()
  try {
    const again = await confirm.submit({ password: DIRECTORY_PASSWORD }, { action: '/account/confirm' })
    expect([again.status, again.headers.get('retry-after')]).toEqual([503, '5'])
    const page = await signIn('anna')
    expect(page.status).toBe(503)
    expect(page.headers.get('retry-after')).toBe('5')
    expect(page.text).toContain('directory does not answer')
    const login = { ...passwordLogin('anna'), password: DIRECTORY_PASSWORD }
    const legacy = await postMatrix(harness, 'login', login)
    expect(legacy.status).toBe(503)
    expect(legacy.headers.get('retry-after')).toBe('5')
    // Who has nothing to do with it comes in.
    expect((await signIn('clara', PASSWORD)).url.pathname).toBe('/')
  } finally {
    await slapd.resume()
  }
  // After three in a row it is left alone for so long.
  harness.clock.advance(5)
  expect((await signIn('anna')).url.pathname).toBe('/')
})
