import { expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LOOKS, type LookName, MOST_LOOKS, SOME_LOOKS, TWO_LOOKS, WAYS } from './looks.ts'

/**
 * Which browser test walks which flow of a person, and in which looks. With `bun run test:walks` each is walked in all
 * four ways: with script and without, on a desktop and on a phone. In every run of the suite a flow is walked at least
 * with script on a desktop and without script on a phone.
 */
interface Walk {
  file: string
  test: string
  looks: readonly LookName[]
}

const walkOf = (file: string, looks: readonly LookName[], test: string): Walk => ({
  file: `${file}.test.ts`,
  test,
  looks,
})

const LEFT = walkOf(
  'sign-up',
  MOST_LOOKS,
  'a sign-up that was left: offered again, gone on with, finished; back and double click do no harm',
)
const WAITS = walkOf('sign-up', MOST_LOOKS, 'an account that waits, and terms that it never accepted')
const ALTCHA = walkOf('sign-up', SOME_LOOKS, 'sign-up with the proof of work: calculated, or waited for')
const TAKEN = walkOf(
  'sign-up',
  SOME_LOOKS,
  'a name that is taken: free ones like it, in the live check and after the form',
)
const BY_MAIL = walkOf('mail', SOME_LOOKS, 'sign-up with an address that was mistyped first, and its code')
const LOST = walkOf(
  'mail',
  SOME_LOOKS,
  'a lost password: the mail, its link, a weak password, a good one; the link does not work twice',
)
const ADDRESSES = walkOf('mail', SOME_LOOKS, 'another address: its code, the main address, and its removal')
const LEAVING = walkOf(
  'mail',
  TWO_LOOKS,
  'a picture of one’s own; leaving, the mail about it, and its link that takes it back',
)
const EVERY_STEP = walkOf(
  'walks',
  TWO_LOOKS,
  'sign-up with every step: terms, an invitation that is mistyped first, the code of the mail; another language on the way',
)
const SESSIONS = walkOf(
  'walks',
  TWO_LOOKS,
  'an app is let in; its sessions are searched, sorted, named, signed out one, several and all; its access is taken back',
)
const ACCOUNT = walkOf(
  'walks',
  TWO_LOOKS,
  'name, language and time zone; a form that was open for too long; who it is, asked again; a token made, replaced, revoked; the data; the password; the log',
)
const ADMIN_LINK = walkOf(
  'walks',
  TWO_LOOKS,
  'an address that is taken: nobody learns it, its owner gets a mail that leads on; the link of an administrator works once',
)
const DEVICE_IN = walkOf(
  'device-and-logout',
  WAYS,
  'a device is let in: the code, the sign-in, the question, the answer (RFC 8628 section 3.3)',
)
const DEVICE_OUT = walkOf(
  'device-and-logout',
  WAYS,
  'a device is kept out; verification_uri_complete fills the code in and no more',
)
const LOGOUT = walkOf(
  'device-and-logout',
  WAYS,
  'signing out for an app: asked without a proof, told of an address that is not its own, at once with a proof',
)

const FLOWS: Record<string, Walk[]> = {
  'sign-up: username, taken and free': [TAKEN, LEFT],
  'sign-up: password': [LEFT, BY_MAIL],
  'sign-up: the code of the mail': [BY_MAIL, EVERY_STEP],
  'sign-up: a wrong address is corrected': [BY_MAIL],
  'sign-up: an address in use': [ADMIN_LINK],
  'sign-up: terms': [LEFT, EVERY_STEP],
  'terms after the sign-in, and refused': [WAITS],
  'sign-up: invitation, typed and in the link': [EVERY_STEP, ADMIN_LINK],
  'sign-up: a check against robots (altcha)': [ALTCHA],
  'sign-up: display name, and the account is made': [LEFT, EVERY_STEP],
  'sign-up: left and resumed': [LEFT],
  'sign-up: approval by an administrator': [WAITS],
  'sign-in': [DEVICE_IN, ACCOUNT],
  'consent, and back to the app': [SESSIONS],
  'recovery by mail': [LOST],
  'recovery by the link of an administrator': [ADMIN_LINK],
  'profile: display name': [ACCOUNT],
  'profile: language and time zone': [ACCOUNT],
  'profile: picture': [LEAVING],
  'language: the selector at the foot of the page': [EVERY_STEP],
  'emails: add, verify, make main, remove': [ADDRESSES],
  'password: change': [ACCOUNT],
  'sessions: search and sort': [SESSIONS],
  'sessions: rename': [SESSIONS],
  'sessions: sign out one, several, all others': [SESSIONS],
  'connected apps: revoke': [SESSIONS],
  'access tokens: make, replace, revoke': [ACCOUNT],
  'security log': [ACCOUNT],
  'export of one’s data': [ACCOUNT],
  'deactivation with its second page, and taken back by mail': [LEAVING],
  'who it is, asked again (/account/confirm)': [ACCOUNT],
  'a form that was open for too long': [ACCOUNT],
  'device grant: let in and kept out': [DEVICE_IN, DEVICE_OUT],
  'signing out: here, and for an app': [ACCOUNT, LOGOUT],
}

/** What is done with the keyboard alone, whose focus shows at every step. */
const KEYBOARD: [string, string][] = [
  ['account.test.ts', 'with the keyboard alone, whose focus shows: sign up, sign out, and sign in again'],
  ['account.test.ts', 'with the keyboard alone, whose focus shows: sign out of a session'],
  ['browser.test.ts', 'with the keyboard alone: sign in and consent'],
]

/** Which of the four ways a look is. */
const wayOf = (name: LookName): string => {
  const look: { viewport: { width: number }; javaScriptEnabled?: boolean } = LOOKS[name]
  return `${look.viewport.width > 700 ? 'desktop' : 'phone'}, script ${look.javaScriptEnabled === false ? 'off' : 'on'}`
}

test('every flow is walked with script on a desktop and without on a phone, by tests that exist', async () => {
  const missing: string[] = []
  for (const [flow, walks] of Object.entries(FLOWS)) {
    for (const way of [wayOf(TWO_LOOKS[0]), wayOf(TWO_LOOKS[1])])
      if (!walks.some(({ looks }) => looks.some((name) => wayOf(name) === way)))
        missing.push(`${flow}: nobody walks it on a ${way}`)
    for (const { file, test: name } of walks) {
      const source = await readFile(join(import.meta.dirname, file), 'utf8')
      if (!source.includes(`'${name}'`)) missing.push(`${flow}: ${file} has no “${name}”`)
      if (!source.includes('looksOf('))
        missing.push(`${file} does not walk in the looks that it is asked for`)
    }
  }
  expect(missing).toEqual([])
})

test('the keyboard alone has its tests', async () => {
  for (const [file, name] of KEYBOARD)
    expect(await readFile(join(import.meta.dirname, file), 'utf8')).toContain(`'${name}'`)
})

test('with `bun run test:walks` every flow is walked in the four ways', async () => {
  const { scripts } = JSON.parse(
    await readFile(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'),
  ) as { scripts: Record<string, string> }
  const command = scripts['test:walks'] ?? ''
  expect(command).toContain('LATCHKEY_TEST_WALKS=all')
  const files = new Set(Object.values(FLOWS).flatMap((walks) => walks.map(({ file }) => file)))
  expect([...files].filter((file) => !command.includes(`test/e2e/${file}`))).toEqual([])
  expect(WAYS.map(wayOf).sort()).toEqual([
    'desktop, script off',
    'desktop, script on',
    'phone, script off',
    'phone, script on',
  ])
})
