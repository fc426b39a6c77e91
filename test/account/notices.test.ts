import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { insertEmail } from '../../sql/users.ts'
import { isNoticed, SECURITY_EVENT_KINDS } from '../../src/identity/security-log.ts'
import { newId } from '../../src/lib/ulid.ts'
import { csrfOf, signInElsewhere } from '../support/account.ts'
import { readForms } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { passwordLogin, postMatrix } from '../support/legacy.ts'
import { NO_LIMITS } from '../support/limits.ts'
import {
  codeIn,
  type MailServer,
  mailConfig,
  type ReceivedMail,
  startMailServer,
} from '../support/mail-server.ts'
import { mmdbFile } from '../support/mmdb.ts'
import {
  createSignedUp,
  exchange,
  obtainCode,
  PASSWORD,
  type Person,
  registerClient,
} from '../support/oauth.ts'
import { type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const FROM = { 'user-agent': FIREFOX, 'x-forwarded-for': '192.0.2.7' }
const GRACE = 86_400

let server: MailServer
let folder: string
let world: UpstreamWorld
let harness: Harness
/** The same deployment with time to think about a deactivation. */
let patient: Harness
beforeAll(async () => {
  server = await startMailServer()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-notices-'))
  const path = join(folder, 'city.mmdb')
  await Bun.write(
    path,
    mmdbFile([192, 0, 2], { city: { names: { en: 'Cologne' } }, country: { iso_code: 'DE' } }),
  )
  const config = {
    email: mailConfig(server),
    geoip: { path },
    http: { trusted_proxies: ['127.0.0.1/8'] },
    account: { password_recovery_enabled: true },
    rate_limiting: NO_LIMITS,
  }
  world = await upstreamWorld({}, { config: config as never })
  harness = world.harness
  patient = await createHarness({
    beside: harness,
    config: { ...config, account: { ...config.account, deactivation_grace_period: GRACE } } as never,
  })
})
afterAll(async () => {
  await patient.close()
  await world.close()
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

let people = 0
let person: Person
let address: string
beforeEach(async () => {
  person = await createSignedUp(harness, `careful${++people}`, FROM)
  address = await addAddress(`${person.username}@example.org`)
  await harness.runJobs()
  server.mails.length = 0
})

async function addAddress(email: string): Promise<string> {
  const { sql, clock, random } = harness.deps
  harness.clock.advance(1)
  const now = clock.now()
  await insertEmail(sql, { id: newId(now, random), userId: person.userId, email, folded: email, now })
  return email
}
const open = (path: string) => person.browser.open(path)
async function press(path: string, action: string, fields: Record<string, string> = {}) {
  const page = await open(path)
  const form = readForms(page.text).find((one) => one.action.endsWith(action))
  return page.submit(fields, { action: form?.action ?? action })
}
async function follow(path: string, link: RegExp, fields: Record<string, string> = {}) {
  const href = link.exec((await open(path)).text)?.[1] ?? 'no-link'
  return (await open(href)).submit(fields, { action: href })
}
/** The mails that came since the last question. */
async function arrived(): Promise<ReceivedMail[]> {
  await harness.runJobs()
  return server.mails.splice(0)
}
const linkAt = (other: UpstreamWorld) => async () => {
  other.fake.claims = {
    sub: `sub-of-${person.username}`,
    preferred_username: person.username,
    name: 'Elsewhere',
  }
  const page = await other.through(person.browser)
  await page.submit({}, { action: '/upstream/link/', button: ['action', 'link'] })
}
const newToken = () =>
  press('/account/tokens/new', 'tokens/new', { token_name: 'Backups', scope_matrix_api: '1', expires: '30' })

interface Change {
  subject: string
  /** With the mails that `before` brought. */
  act: (brought: ReceivedMail[]) => Promise<unknown>
  /** What comes before it, with mails of its own. */
  before?: () => Promise<unknown>
  /** Addresses that hear of it; the main one unless given. */
  to?: () => string[]
  /** Words of the mail that say what it is about. */
  about?: () => string
}

/** Every change that the owner, or whoever got in, can make; each has one mail to each address that must know. */
const CHANGES: Record<string, Change> = {
  signed_in_new_browser: {
    subject: 'Sign-in from a new browser',
    act: () => signInElsewhere(harness, person.username, FROM),
  },
  signed_in_legacy: {
    subject: 'Sign-in of an app with your password',
    act: () =>
      postMatrix(
        harness,
        'login',
        passwordLogin(person.username, { initial_device_display_name: 'Old phone' }),
        FROM,
      ),
    about: () => 'Old phone',
  },
  password_changed: {
    subject: 'Password changed',
    act: () =>
      press('/account/password/change', 'password/change', {
        current_password: PASSWORD,
        password: `${PASSWORD} new`,
        password_confirm: `${PASSWORD} new`,
      }),
  },
  password_reset: {
    subject: 'Password reset',
    before: async () => {
      await (await open('/recover')).submit({ email: address }, { action: 'recover' })
    },
    act: async ([mail]) => {
      const link = /http:\/\/auth\.test(\/\S*ticket=\S+)/.exec(mail?.text ?? '')?.[1] ?? ''
      const fields = { password: `${PASSWORD} new`, password_confirm: `${PASSWORD} new` }
      await (await open(link)).submit(fields, { action: 'recovery' })
    },
  },
  email_added: {
    subject: 'Email address added',
    before: () => press('/account/emails/add', 'emails/add', { email: `new-${address}` }),
    act: async ([mail]) => {
      const code = codeIn(mail)
      await follow('/account/emails', /href="(\/account\/emails\/\w{26}\/verify)"/, { code })
    },
    about: () => `new-${address}`,
  },
  email_removed: {
    subject: 'Email address removed',
    before: () => addAddress(`other-${address}`),
    act: async () => {
      const links = [
        ...(await open('/account/emails')).text.matchAll(/href="(\/account\/emails\/\w{26}\/remove)"/g),
      ]
      const path = links[1]?.[1] ?? ''
      await (await open(path)).submit({}, { action: path })
    },
    to: () => [address, `other-${address}`],
    about: () => `other-${address}`,
  },
  email_primary: {
    subject: 'Main email address changed',
    before: () => addAddress(`other-${address}`),
    act: () => press('/account/emails', '/primary'),
    to: () => [address, `other-${address}`],
    about: () => `other-${address}`,
  },
  identity_linked: {
    subject: 'Sign-in through a provider linked',
    act: () => linkAt(world)(),
    about: () => 'Harbour',
  },
  identity_unlinked: {
    subject: 'Sign-in through a provider removed',
    before: () => linkAt(world)(),
    act: () => follow('/account/linked', /href="(\/account\/linked\/\w{26}\/unlink)"/),
    about: () => 'Harbour',
  },
  sessions_ended: {
    subject: 'Signed out everywhere',
    before: async () => {
      await signInElsewhere(harness, person.username, FROM)
      await signInElsewhere(harness, person.username, FROM)
    },
    act: () => press('/account/sessions/end-others', 'end-others', { browsers: '1' }),
  },
  personal_token_created: { subject: 'Access token created', act: newToken, about: () => 'Backups' },
  personal_token_revoked: {
    subject: 'Access token revoked',
    before: newToken,
    act: () => follow('/account/tokens', /href="(\/account\/tokens\/\w{26}\/revoke)"/),
    about: () => 'Backups',
  },
  code_replayed: {
    subject: 'A sign-in was stopped',
    act: async () => {
      const { client_id: clientId } = await registerClient(harness)
      const code = await obtainCode(person.browser, clientId)
      const from = {
        form: (path: string, fields: Record<string, string>) => harness.form(path, fields, FROM),
      }
      await exchange(from, clientId, code)
      harness.clock.advance(30)
      await exchange(from, clientId, code).catch(() => undefined)
    },
  },
  refresh_token_reused: {
    subject: 'An old sign-in was used again',
    act: async () => {
      const { client_id: clientId } = await registerClient(harness)
      const refresh = async (token = '') =>
        (await (
          await harness.form(
            '/oauth2/token',
            { grant_type: 'refresh_token', client_id: clientId, refresh_token: token },
            FROM,
          )
        ).json()) as { refresh_token?: string }
      const first = await exchange(harness, clientId, await obtainCode(person.browser, clientId))
      const second = await refresh(first.refresh_token)
      await refresh(second.refresh_token)
      await refresh(first.refresh_token)
    },
  },
  keys_reset_allowed: {
    subject: 'Reset of the encryption keys allowed',
    act: () => press('/account/reset-cross-signing', 'reset-cross-signing'),
  },
  deactivated: {
    subject: 'Account deactivated',
    act: async () => {
      const csrf = csrfOf(await open('/account/deactivate'))
      await person.browser.post('/account/deactivate', { csrf, confirm: person.username })
    },
  },
  deactivation_undone: {
    subject: 'Deactivation taken back',
    before: async () => {
      const own = patient.browser(FROM)
      for (const [name, value] of person.browser.cookies) own.cookies.set(name, value)
      const csrf = csrfOf(await own.open('/account/deactivate'))
      await own.post('/account/deactivate', { csrf, confirm: person.username })
    },
    act: async ([mail]) => {
      const own = patient.browser(FROM)
      const link = /http:\/\/auth\.test(\/\S*undo\S+)/.exec(mail?.text ?? '')?.[1] ?? ''
      await (await own.open(link)).submit({}, { action: 'undo' })
    },
  },
}

/** Only the people who run the server do these: `test/identity/security-log.test.ts`, "by an admin". */
const BY_ADMINS = ['locked', 'unlocked', 'recovery_link_issued', 'admin_given', 'admin_taken']

test('every kind of event with a notice has its line here, or is one of the admins', () => {
  const kinds: string[] = SECURITY_EVENT_KINDS.filter(isNoticed)
  expect([...Object.keys(CHANGES), ...BY_ADMINS].toSorted()).toEqual(kinds.toSorted())
})

test.each(Object.entries(CHANGES))(
  '%s: one mail with the time, the device, the place, and what to do if it was not you',
  async (_, { subject, act, before, to, about }) => {
    await before?.()
    await act(await arrived())
    const mails = await arrived()
    expect(mails.map(({ to: [one = ''] }) => one).toSorted()).toEqual((to?.() ?? [address]).toSorted())
    for (const mail of mails) {
      expect(mail.subject).toBe(subject)
      const facts = [
        person.username,
        'November 24, 2026',
        'UTC',
        '192.0.2.7',
        'Cologne, Germany',
        'Firefox, Linux',
        ...(about ? [about()] : []),
      ]
      for (const fact of facts) {
        expect(mail.text, `${fact} in text`).toContain(fact)
        expect(mail.html, `${fact} in HTML`).toContain(fact)
      }
      // A deactivated account cannot be opened any more.
      const advice =
        subject === 'Account deactivated'
          ? ['Ask the people who run']
          : ['http://auth.test/account/', 'If it was not']
      for (const words of advice) expect(mail.text).toContain(words)
    }
  },
)

test('nothing but these makes a mail: signing in again, a name, a language, signing out one device', async () => {
  await press('/account/profile', 'account/profile', { display_name: 'Another name' })
  await press('/account/profile', 'preferences', { locale: 'en', time_zone: 'UTC' })
  const other = await signInElsewhere(harness, person.username, FROM)
  expect((await arrived()).map(({ subject }) => subject)).toEqual(['Sign-in from a new browser'])
  await follow(
    '/account/sessions',
    /href="(\/account\/sessions\/\w{26}\/end)">Sign out<span[^>]*> of Firefox/,
    {},
  )
  expect(other).toBeDefined()
  expect(await arrived()).toEqual([])
})
