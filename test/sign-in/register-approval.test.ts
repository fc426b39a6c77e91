import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { approve, reject } from '../../src/identity/approvals.ts'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminCaller, makeUser, personalToken } from '../support/admin.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { NO_LIMITS } from '../support/limits.ts'
import { codeIn, type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { authorizeUrl, PASSWORD, registerClient } from '../support/oauth.ts'

let server: MailServer
let harness: Harness
let open: Harness
let api: AdminCall
beforeAll(async () => {
  server = await startMailServer()
  harness = await createHarness({
    config: {
      email: mailConfig(server),
      account: {
        password_registration_enabled: true,
        password_registration_email_required: true,
        password_recovery_enabled: true,
        registration_requires_approval: true,
      },
      rate_limiting: NO_LIMITS,
    },
  })
  open = await createHarness({
    beside: harness,
    config: {
      account: {
        password_registration_enabled: true,
        password_registration_email_required: false,
        registration_requires_approval: true,
      },
    },
  })
  const admin = await makeUser(harness, 'admin', { isAdmin: true })
  api = adminCaller(harness, await personalToken(harness, admin.uuid, ['urn:mas:admin']))
})
afterAll(async () => {
  await open.close()
  await harness.close()
  await server.close()
})
beforeEach(async () => {
  await harness.runJobs()
  server.mails.length = 0
})

const WAITING = 'Your account waits for approval'

/** Signs up to the last step, with the code of the mail. */
async function signUp(browser: Browser, username: string, start = '/register'): Promise<Page> {
  const form = await browser.open(start)
  const email = await form.submit(
    { username, email: `${username}@example.org`, password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
  await harness.runJobs()
  const code = codeIn(server.mails.at(-1))
  const name = await email.submit({ code }, { action: 'verify-email' })
  return name.submit({ display_name: username, action: 'set' })
}
const signIn = async (username: string, password = PASSWORD, start = '/login'): Promise<Page> =>
  (await harness.browser().open(start)).submit({ username, password }, { action: 'login' })

/** The id of an account, as uuid. */
async function idOf(username: string): Promise<string> {
  const [user] = await findUserByName(harness.deps.sql, username, username)
  return user?.id ?? ''
}

describe('a sign-up where an admin has to approve', () => {
  test('ends on a page that says so: nobody is signed in, and the homeserver hears nothing', async () => {
    const browser = harness.browser()
    const page = await signUp(browser, 'anna')
    expect([page.status, page.url.pathname.endsWith('/waiting'), page.text.includes(WAITING)]).toEqual([
      200,
      true,
      true,
    ])
    expect(page.text).toContain('@anna:example.test')
    expect(page.text).toContain('You get a mail')
    expect((await browser.open('/account/')).url.pathname).toBe('/login')
    await harness.runJobs()
    await jobHandlers(harness.deps)['provision-everyone']({ after: null })
    await jobHandlers(harness.deps)['provision-everyone']({ after: null, all: true })
    await harness.runJobs()
    expect(harness.homeserver.users.has('anna')).toBe(false)
    expect((await browser.open(page.url.href)).text).toContain(WAITING)
    expect((await harness.browser().open(page.url.href)).status).toBe(404)
  })

  test('the right password leads to that page, a wrong one is as wrong as anywhere', async () => {
    await signUp(harness.browser(), 'ben')
    const right = await signIn('ben')
    expect(right.text).toContain(WAITING)
    expect(right.headers.getSetCookie().some((cookie) => cookie.includes('session='))).toBe(false)
    const [wrong, nobody] = [
      await signIn('ben', 'not the password'),
      await signIn('nobody', 'not the password'),
    ]
    expect([wrong.status, wrong.text.includes('or the password is not right')]).toEqual([422, true])
    const bare = (page: Page, name: string) =>
      page.text.replaceAll(name, 'NAME').replaceAll(/value="[\w-]{43}"/g, '')
    expect(bare(wrong, 'ben')).toBe(bare(nobody, 'nobody'))
  })

  test('an older client hears it with the right password only', async () => {
    await signUp(harness.browser(), 'carla')
    const login = async (password: string) => {
      const response = await harness.request('/_matrix/client/v3/login', {
        method: 'POST',
        body: JSON.stringify({
          type: 'm.login.password',
          identifier: { type: 'm.id.user', user: 'carla' },
          password,
        }),
      })
      return [response.status, ((await response.json()) as { errcode: string }).errcode]
    }
    expect(await login(PASSWORD)).toEqual([403, 'ORG.MATRIX.MSC3866_USER_AWAITING_APPROVAL'])
    expect(await login('not the password')).toEqual([403, 'M_FORBIDDEN'])
  })

  test('name and address stay reserved; a mail for a lost password has no link', async () => {
    await signUp(harness.browser(), 'dora')
    const form = await harness.browser().open('/register')
    const taken = await form.submit(
      { username: 'dora', email: 'x@example.org', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    expect([taken.status, taken.text.includes('This username is taken')]).toEqual([422, true])
    const recover = await harness.browser().open('/recover')
    await recover.submit({ email: 'dora@example.org' }, { action: 'recover' })
    await harness.runJobs()
    const mail = server.mails.at(-1)?.text ?? ''
    expect(mail).toContain('waits until the people who run')
    expect(mail).not.toContain('ticket=')
  })

  test('sent twice it is one account, and both lead to the page', async () => {
    const browser = harness.browser()
    const form = await browser.open('/register')
    const email = await form.submit(
      { username: 'emil', email: 'emil@example.org', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    await harness.runJobs()
    const code = codeIn(server.mails.at(-1))
    const name = await email.submit({ code }, { action: 'verify-email' })
    const both = await Promise.all([1, 2].map(() => name.submit({ display_name: 'Emil', action: 'set' })))
    for (const page of both) expect(page.text).toContain(WAITING)
  })

  test('the way to the app stays: once approved, signing in goes on there', async () => {
    const { client_id } = await registerClient(harness)
    const browser = harness.browser()
    const page = await signUp(browser, 'frieda', authorizeUrl(client_id, { prompt: 'create' }))
    expect(page.text).toContain(WAITING)
    await approve(harness.deps, await idOf('frieda'))
    const login = await browser.open(page.url.href)
    expect(login.url.pathname).toBe('/login')
    const consent = await login.submit({ username: 'frieda', password: PASSWORD }, { action: 'login' })
    expect(consent.url.pathname).toStartWith('/consent/')
  })

  test('without an address the page says to come back', async () => {
    const form = await open.browser().open('/register')
    const name = await form.submit(
      { username: 'greta', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    const page = await name.submit({ display_name: 'Greta', action: 'set' })
    expect([page.text.includes(WAITING), page.text.includes('Come back later')]).toEqual([true, true])
    expect(await approve(open.deps, await idOf('greta'))).toBe(true)
  })
})

describe('approve and reject', () => {
  test('approved: the person signs in, the homeserver knows them, a mail says so; once', async () => {
    await signUp(harness.browser({ 'accept-language': 'de' }), 'hanna')
    server.mails.length = 0
    expect(await approve(harness.deps, await idOf('hanna'))).toBe(true)
    expect(await approve(harness.deps, await idOf('hanna'))).toBe(false)
    expect(await reject(harness.deps, await idOf('hanna'))).toBe(false)
    await harness.runJobs()
    expect(harness.homeserver.users.has('hanna')).toBe(true)
    expect(server.mails.map(({ subject, to }) => [subject, to])).toEqual([
      ['Dein Konto bei example.test ist freigegeben', expect.arrayContaining(['hanna@example.org'])],
    ])
    expect(server.mails[0]?.text).toContain(`${harness.origin}/login`)
    expect((await signIn('hanna')).url.pathname).toBe('/')
  })

  test('rejected: the account is gone, its name and address are free, a mail says so', async () => {
    const browser = harness.browser()
    const page = await signUp(browser, 'iris')
    server.mails.length = 0
    const id = await idOf('iris')
    const [one, two] = await Promise.all([reject(harness.deps, id), approve(harness.deps, id)])
    expect([one, two].filter(Boolean).length).toBe(1)
    if (two) return
    await harness.runJobs()
    expect(server.mails.map(({ subject }) => subject)).toEqual([
      'Your account at example.test was not approved',
    ])
    expect(server.mails[0]?.text).not.toContain('/login')
    expect((await browser.open(page.url.href)).text).toContain('This account was not approved')
    expect((await signIn('iris')).status).toBe(422)
    expect((await signUp(harness.browser(), 'iris')).text).toContain(WAITING)
  })

  test('the admin API lists who waits, approves and rejects, and keeps a lock from being taken off', async () => {
    await signUp(harness.browser(), 'jana')
    await signUp(harness.browser(), 'jule')
    const id = ulidFromUuid(await idOf('jana'))
    const names = async (status: string): Promise<string[]> => {
      const { body } = await api('GET', `/users?filter[status]=${status}&page[first]=100`)
      return body.data.map((user: { attributes: { username: string } }) => user.attributes.username)
    }
    expect(await names('awaiting_approval')).toEqual(expect.arrayContaining(['jana', 'jule']))
    expect(await names('locked')).not.toContain('jana')
    expect(await names('active')).not.toContain('jana')
    const unlocked = await api('POST', `/users/${id}/unlock`)
    expect([unlocked.status, unlocked.body.data.attributes.locked_at]).toEqual([200, expect.any(String)])
    const approved = await api('POST', `/users/${id}/approve`)
    expect([approved.status, approved.body.data.attributes]).toEqual([
      200,
      expect.objectContaining({ approval_requested_at: null, locked_at: null }),
    ])
    for (const verb of ['approve', 'reject']) {
      const again = await api('POST', `/users/${id}/${verb}`)
      expect([again.status, again.body.errors[0].code]).toEqual([409, 'not_waiting'])
    }
    const other = ulidFromUuid(await idOf('jule'))
    expect((await api('POST', `/users/${other}/reject`)).status).toBe(204)
    expect((await api('GET', `/users/${other}`)).status).toBe(404)
    expect(await names('awaiting_approval')).not.toContain('jule')
  })

  test('a lock of an account that waits does not outlive the approval, and a deactivated one is not approved', async () => {
    await signUp(harness.browser(), 'karla')
    const id = ulidFromUuid(await idOf('karla'))
    await api('POST', `/users/${id}/lock`)
    await api('POST', `/users/${id}/deactivate`)
    expect((await api('POST', `/users/${id}/approve`)).status).toBe(409)
    expect((await api('POST', `/users/${id}/reject`)).status).toBe(204)
  })

  test('the first account of a standalone deployment is an admin and does not wait', async () => {
    const alone = await createHarness({
      config: {
        matrix: { kind: 'standalone' },
        account: {
          password_registration_enabled: true,
          password_registration_email_required: false,
          registration_requires_approval: true,
        },
      },
    })
    const up = async (browser: Browser, username: string) => {
      const name = await (await browser.open('/register')).submit(
        { username, password: PASSWORD, password_confirm: PASSWORD },
        { action: 'register/password' },
      )
      return name.submit({ display_name: username, action: 'set' })
    }
    expect((await up(alone.browser(), 'root')).url.pathname).toBe('/')
    expect((await up(alone.browser(), 'guest')).text).toContain(WAITING)
    await alone.close()
  })
})
