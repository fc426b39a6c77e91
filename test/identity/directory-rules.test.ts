import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { findDirectoryLink } from '../../sql/directory-links.ts'
import { findUserByName } from '../../sql/users.ts'
import { isDirectoryAccount, unlinkDirectory } from '../../src/identity/directory.ts'
import { addEmailUnproven } from '../../src/identity/emails.ts'
import { deactivate, lock } from '../../src/identity/lifecycle.ts'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import { checkPassword } from '../../src/identity/sign-in.ts'
import { adminOf } from '../support/admin.ts'
import type { Browser, Page } from '../support/browser.ts'
import {
  company,
  DIRECTORY_PASSWORD,
  directoryHarness,
  PEOPLE,
  person,
  signInAs,
} from '../support/directory.ts'
import type { Harness, HarnessOptions } from '../support/harness.ts'
import { createPerson, passwordLogin, postMatrix } from '../support/legacy.ts'
import { PASSWORD } from '../support/oauth.ts'
import { DIRECTORY_NAME, hasSlapd, type Slapd, startSlapd } from '../support/slapd.ts'

const there = hasSlapd()
let slapd: Slapd
let harness: Harness
beforeAll(async () => {
  if (there) slapd = await startSlapd(company())
})
afterAll(() => slapd?.close())
afterEach(() => harness?.close())

const start = async (ldap: Parameters<typeof directoryHarness>[1] = {}, options: HarnessOptions = {}) => {
  harness = await directoryHarness(slapd, ldap, options)
}
/** The same accounts, with another section `ldap`. */
async function restart(ldap: Parameters<typeof directoryHarness>[1]): Promise<void> {
  const before = harness
  harness = await directoryHarness(slapd, ldap, { beside: before })
  const { close } = harness
  harness.close = async () => {
    await close()
    await before.close()
  }
}
const user = async (name: string) => (await findUserByName(harness.deps.sql, name, name))[0]
const signIn = (username: string, password?: string, browser: Browser = harness.browser()): Promise<Page> =>
  signInAs(browser, username, password)
const legacy = (name: string, password = DIRECTORY_PASSWORD) =>
  postMatrix(harness, 'login', { ...passwordLogin(name), password })
/** Whether a sign-in led in. */
const isIn = async (username: string, password?: string): Promise<boolean> =>
  (await signIn(username, password)).url.pathname === '/'

const NO_ACCOUNT = 'none could be made for you'
const rename = (from: string, to: string) =>
  slapd.modify(`dn: uid=${from},${PEOPLE}\nchangetype: modrdn\nnewrdn: uid=${to}\ndeleteoldrdn: 1`)
const remove = (uid: string) => slapd.modify(`dn: uid=${uid},${PEOPLE}\nchangetype: delete`)
const add = (uid: string, more = '') =>
  slapd.modify(person(uid, more).replace(/\nobjectClass/, '\nchangetype: add\nobjectClass'))

describe.skipIf(!there)('the link to an entry', () => {
  test('somebody who is renamed in the directory keeps the account, and signs in with either name', async () => {
    await start()
    await add('petra')
    const browser = harness.browser()
    await signIn('petra', DIRECTORY_PASSWORD, browser)
    const before = await user('petra')
    await rename('petra', 'petronella')
    expect(await isIn('petronella')).toBe(true)
    expect(await isIn('petra')).toBe(true)
    expect(await user('petronella')).toBeUndefined()
    expect(await user('petra')).toEqual(before)
    harness.clock.advance(601)
    const page = await browser.open('/account/confirm?kind=manage_account&page=sessions')
    const wrong = await page.submit({ password: PASSWORD }, { action: 'confirm' })
    expect([wrong.status, wrong.text.includes('The password is not right')]).toEqual([422, true])
    const on = await page.submit({ password: DIRECTORY_PASSWORD }, { action: 'confirm' })
    expect(on.url.pathname).toBe('/account/sessions')
    await remove('petronella')
  })

  test('another person who gets the name later does not get the account, unless `replace` says so', async () => {
    await start()
    await add('petra')
    await signIn('petra')
    const before = await user('petra')
    await remove('petra')
    expect(await isIn('petra')).toBe(false)
    await add('petra')
    const page = await signIn('petra')
    expect([page.status, page.text.includes(NO_ACCOUNT)]).toEqual([422, true])
    const { status, body } = await legacy('petra')
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    expect(body.error).toContain('no account')
    await restart({ on_conflict: 'add' })
    expect(await isIn('petra')).toBe(false)
    await restart({ on_conflict: 'replace' })
    expect(await isIn('petra')).toBe(true)
    expect(await user('petra')).toEqual(before)
    await remove('petra')
  })

  test('a person who is signed in is asked for their own password, not for that of who has their name by now', async () => {
    await start()
    await add('petra')
    const browser = harness.browser()
    await signIn('petra', DIRECTORY_PASSWORD, browser)
    await rename('petra', 'petronella')
    await add('petra')
    await slapd.modify(
      `dn: uid=petra,${PEOPLE}\nchangetype: modify\nreplace: userPassword\nuserPassword: the other one`,
    )
    harness.clock.advance(601)
    const page = await browser.open('/account/confirm?kind=manage_account&page=sessions')
    const wrong = await page.submit({ password: 'the other one' }, { action: 'confirm' })
    expect(wrong.status).toBe(422)
    const right = await page.submit({ password: DIRECTORY_PASSWORD }, { action: 'confirm' })
    expect(right.url.pathname).toBe('/account/sessions')
    await remove('petra')
    await remove('petronella')
  })

  test('an account of our own is given to the entry of its name only with `on_conflict: add`', async () => {
    await start()
    const id = await createPerson(harness, 'anna')
    expect(await isIn('anna')).toBe(false)
    expect(await isIn('anna', PASSWORD)).toBe(true)
    expect(await isDirectoryAccount(harness.deps, id)).toBe(false)
    await restart({ on_conflict: 'add', allow_registration: false })
    expect(await isIn('anna')).toBe(true)
    expect((await user('anna'))?.id).toBe(id)
    // From now on the directory alone decides.
    expect(await isIn('anna', PASSWORD)).toBe(false)
    expect(await unlinkDirectory(harness.deps, id)).toBe(true)
    expect(await unlinkDirectory(harness.deps, id)).toBe(false)
    await restart({})
    expect(await isIn('anna', PASSWORD)).toBe(true)
  })

  test('two sign-ins of a new person at once make one account', async () => {
    await start()
    const answers = await Promise.all(['anna', 'anna', 'anna'].map((name) => legacy(name)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(new Set(answers.map(({ body }) => body.user_id))).toEqual(new Set(['@anna:example.test']))
  })

  test('a session that begins while the entry is taken away does not begin', async () => {
    await start()
    await signIn('anna')
    const id = (await user('anna'))?.id ?? ''
    const { directory } = harness.deps
    if (!directory) throw new Error('there is one')
    const { authenticate } = directory
    directory.authenticate = async (...args) => {
      const answer = await authenticate(...args)
      await unlinkDirectory(harness.deps, id)
      return answer
    }
    expect(await isIn('anna')).toBe(false)
    expect(await findDirectoryLink(harness.deps.sql, id)).toHaveLength(0)
  })
})

describe.skipIf(!there)('who is let in', () => {
  test('allow_if, with the operator’s sentence, also who has an account', async () => {
    await start()
    expect(await isIn('Bruno')).toBe(true)
    const sentences = { allow_if_message: 'Captains only.', allow_if_messages: { de: 'Nur für Kapitäne.' } }
    await restart({ allow_if: "'captains' in user.groups", ...sentences })
    expect(await isIn('anna')).toBe(true)
    for (const name of ['Bruno', 'clara']) {
      const page = await signIn(name)
      expect([page.status, page.text.includes('Captains only.')]).toEqual([422, true])
      expect((await legacy(name)).body).toEqual({ errcode: 'M_FORBIDDEN', error: 'Captains only.' })
    }
    const german = harness.browser({ 'accept-language': 'de' })
    expect((await signIn('clara', DIRECTORY_PASSWORD, german)).text).toContain('Nur für Kapitäne.')
    const login = { ...passwordLogin('clara'), password: DIRECTORY_PASSWORD }
    const answer = await postMatrix(harness, 'login', login, { 'accept-language': 'de-AT' })
    expect(answer.body.error).toBe('Nur für Kapitäne.')
    expect(await user('clara')).toBeUndefined()
    // Nobody who does not know the password hears of it.
    expect((await signIn('clara', 'wrong')).text).not.toContain('Captains only.')
  })

  test('an expression that fails lets nobody in; a part of a name is no group', async () => {
    await start({ allow_if: 'user.no.such.thing' })
    expect(await isIn('anna')).toBe(false)
    await restart({ allow_if: "'cap' in user.groups or 'ou=groups' in user.memberOf" })
    expect(await isIn('anna')).toBe(false)
  })

  test('admin_if gives the right to administer, and takes it away', async () => {
    await start({ admin_if: "'captains' in user.groups" })
    await isIn('anna')
    await isIn('Bruno')
    expect([(await user('anna'))?.is_admin, (await user('bruno'))?.is_admin]).toEqual([true, false])
    await restart({ admin_if: "'admirals' in user.groups" })
    expect(await isIn('anna')).toBe(true)
    expect((await user('anna'))?.is_admin).toBe(false)
  })

  test('allow_registration: false makes no account', async () => {
    await start({ allow_registration: false })
    expect((await signIn('anna')).text).toContain(NO_ACCOUNT)
    expect(await user('anna')).toBeUndefined()
  })

  test('a name that the rules of the server do not allow makes no account, nor does none', async () => {
    const banned = { policy: { data: { registration: { banned_usernames: { literals: ['anna'] } } } } }
    await start({ attributes: { localpart: '{{ user.uid }}' } }, { config: banned })
    for (const name of ['anna', 'Bruno']) expect((await signIn(name)).text).toContain(NO_ACCOUNT)
    await restart({ attributes: { localpart: '{{ user.employeeNumber }}' } })
    expect((await signIn('clara')).text).toContain(NO_ACCOUNT)
    harness.homeserver.exclusive.add('clara')
    await restart({})
    expect((await signIn('clara')).text).toContain(NO_ACCOUNT)
  })

  test('a locked, a deactivated account and one that waits hear so, with the right password alone', async () => {
    await start({}, { config: { account: { registration_requires_approval: true } } })
    expect((await signIn('clara')).text).toContain('approve')
    expect((await legacy('clara')).body.errcode).toBe('ORG.MATRIX.MSC3866_USER_AWAITING_APPROVAL')
    expect(harness.homeserver.users.has('clara')).toBe(false)
    await restart({})
    await signIn('anna')
    await signIn('Bruno')
    await lock(harness.deps, (await user('anna'))?.id ?? '')
    await deactivate(harness.deps, (await user('bruno'))?.id ?? '', false)
    expect((await legacy('anna')).body.errcode).toBe('M_USER_LOCKED')
    expect((await legacy('anna', 'wrong')).body.errcode).toBe('M_FORBIDDEN')
    expect(await isIn('Bruno')).toBe(false)
    expect((await user('bruno'))?.deactivated_at).not.toBeNull()
  })

  test('who is gone from the directory, or has another password there, is refused at the next sign-in', async () => {
    await start()
    await add('petra')
    expect(await isIn('petra')).toBe(true)
    await slapd.modify(`dn: uid=petra,${PEOPLE}\nchangetype: modify\ndelete: userPassword`)
    expect(await isIn('petra')).toBe(false)
    await remove('petra')
    expect((await legacy('petra')).status).toBe(403)
  })
})

describe.skipIf(!there)('what is taken over', () => {
  test('of an entry that the person reads, over StartTLS, by the templates of `attributes`', async () => {
    await start({
      urls: [slapd.plain],
      tls: { ca: slapd.ca, server_name: DIRECTORY_NAME, start_tls: true },
      bind_dn: undefined,
      bind_password: undefined,
      search: undefined,
      groups: undefined,
      user_dn: `uid={{ username }},${PEOPLE}`,
      attributes: {
        localpart: '{{ user.uid.lower() }}.crew',
        displayname: '{{ user.sn.upper() }}, {{ user.objectClass | join(" and ") }}',
        email: '{{ attributes.mail[1] }}',
      },
    })
    expect(await isIn('anna')).toBe(true)
    expect(await user('anna')).toBeUndefined()
    expect((await user('anna.crew'))?.display_name).toBe('ANNA, inetOrgPerson')
    expect(harness.homeserver.accountOf('anna.crew').emails).toEqual(['a.harbour@harbour.example'])
    // It is the entry that is known, and not the name that was made of it.
    expect(await isIn('anna')).toBe(true)
    expect(await harness.deps.sql`select id from latchkey.users`).toHaveLength(1)
  })

  test('at the first sign-in; an address that another account has, or that is against the rules, is left out', async () => {
    await start({}, { config: { policy: { data: { banned_domains: ['banned.example'] } } } })
    await signIn('Bruno')
    await add('petra', 'mail: bruno@harbour.example')
    await add('paul', 'mail: paul@banned.example\ndisplayName: Paul of the harbour')
    expect(await isIn('petra')).toBe(true)
    expect(await isIn('paul')).toBe(true)
    expect(harness.homeserver.accountOf('bruno').emails).toEqual(['bruno@harbour.example'])
    expect(harness.homeserver.accountOf('petra').emails).toEqual([])
    expect(harness.homeserver.accountOf('paul').emails).toEqual([])
    await remove('petra')
    await slapd.modify(`dn: uid=paul,${PEOPLE}\nchangetype: modify\nreplace: displayName\ndisplayName: Paul`)
    expect(await isIn('paul')).toBe(true)
    expect((await user('paul'))?.display_name).toBe('Paul of the harbour')
    await restart({ sync_on_login: ['displayname'] })
    expect(await isIn('paul')).toBe(true)
    expect((await user('paul'))?.display_name).toBe('Paul')
    expect(harness.homeserver.users.get('paul')?.displayName).toBe('Paul')
    await remove('paul')
  })

  test('a homeserver that is away when the account is made is an outage to an older client, and nothing is lost', async () => {
    await start()
    harness.homeserver.down = true
    expect((await legacy('anna')).status).toBe(503)
    expect(await user('anna')).toBeUndefined()
    harness.homeserver.down = false
    harness.clock.advance(10)
    expect((await legacy('anna')).status).toBe(200)
  })
})

describe.skipIf(!there)('the password of an account that is the directory’s', () => {
  test('GET /account/password/change: says where it is changed; POST changes nothing', async () => {
    await start({ password_url: 'https://password.harbour.example/' })
    const browser = harness.browser()
    await signIn('anna', DIRECTORY_PASSWORD, browser)
    expect((await browser.open('/account/')).text).toContain('Kept by your organisation')
    const page = await browser.open('/account/password/change')
    expect(page.text).toContain('Your organisation keeps your password.')
    expect(page.text).toContain('href="https://password.harbour.example/"')
    expect(page.text).not.toContain('name="current_password"')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const fields = {
      csrf,
      current_password: DIRECTORY_PASSWORD,
      password: PASSWORD,
      password_confirm: PASSWORD,
    }
    expect((await browser.post('/account/password/change', fields)).status).toBe(422)
    expect(await isIn('anna', PASSWORD)).toBe(false)
  })

  test('no mail resets it, and a link of before opens nothing', async () => {
    const account = { password_recovery_enabled: true, passwordless_recovery_allowed: true }
    await start({ on_conflict: 'add' }, { config: { account } })
    const id = await createPerson(harness, 'anna')
    await addEmailUnproven(harness.deps, id, 'anna@own.example')
    const ask = async () => {
      const page = await harness.browser().open('/recover')
      await page.submit({ email: 'anna@own.example' }, { action: 'recover' })
      await harness.runJobs()
      return harness.database.sql`select digest from latchkey.recovery_tickets`
    }
    expect(await ask()).toHaveLength(1)
    const link = await issueRecoveryLink(harness.deps, id)
    const form = await harness.browser().open(link)
    expect(form.text).toContain('name="password_confirm"')
    expect(await isIn('anna')).toBe(true)
    expect(await ask()).toHaveLength(2)
    const gone = await harness.browser().open(link)
    expect(gone.text).not.toContain('name="password_confirm"')
    const late = await form.submit({ password: PASSWORD, password_confirm: PASSWORD })
    expect(late.url.pathname).toContain('recovery')
    expect(await isIn('anna', PASSWORD)).toBe(false)
  })

  test('POST /api/admin/v1/users/{id}/set-password: 409', async () => {
    await start()
    await signIn('clara')
    const { api } = await adminOf(harness)
    const { body } = await api('GET', '/users/by-username/clara')
    const answer = await api('POST', `/users/${body.data.id}/set-password`, { password: PASSWORD })
    expect(answer.status).toBe(409)
    expect(answer.body.errors[0].code).toBe('password_in_directory')
  })

  test('guesses are limited as those of any password, also by the entry that several spellings lead to', async () => {
    const limits = { per_ip: { burst: 100, per_second: 1 }, per_account: { burst: 2, per_second: 0.01 } }
    const filter = '(|(uid={{ username }})(mail={{ username }}))'
    await start({ search: { base: PEOPLE, filter } }, { config: { rate_limiting: { login: limits } } })
    const guess = (username: string) =>
      checkPassword(
        harness.deps,
        { username, password: 'guess' },
        { ip: undefined, userAgent: undefined },
      ).then(
        ({ result }) => result,
        (error: Error) => error.name,
      )
    expect([await guess('bruno'), await guess('bruno@harbour.example')]).toEqual(['wrong', 'wrong'])
    expect(await guess('bruno')).toBe('RateLimited')
    expect([await guess('anna'), await guess('ANNA'), await guess('anna')]).toEqual([
      'wrong',
      'wrong',
      'RateLimited',
    ])
  })
})
