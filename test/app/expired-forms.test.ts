import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { addEmail } from '../../src/identity/emails.ts'
import { openMail } from '../../src/identity/mails.ts'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import type { DeactivationMail } from '../../src/render/contexts-mail.ts'
import { listedSessions, signInElsewhere } from '../support/account.ts'
import { type Browser, copyCookies, type Page } from '../support/browser.ts'
import { enterCode, registerDeviceClient, requestDevice } from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { createPerson } from '../support/legacy.ts'
import {
  authorizeUrl,
  createSignedUp,
  exchange,
  obtainCode,
  PASSWORD,
  type Person,
  registerClient,
} from '../support/oauth.ts'
import { type Control, readControls, type SentForm } from '../support/page-forms.ts'
import { signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

/**
 * Every form of the pages, sent with a token that is too old and without one: it comes back with a sentence that says so
 * and with what was typed. The list is the route table: a new route that takes a form needs a line here.
 */
const SENTENCE = 'This page was open for too long. Nothing is lost: just send it once more.'
const SAME_SITE = { 'sec-fetch-site': 'same-origin' }

/** Routes of pages that take a POST and have no form of ours to come back with. */
const EXCEPTIONS: Record<string, string> = {
  'POST /authorize': 'the request of an app, which has no token',
  'POST /end-session': 'the request of an app, which has no token; it goes on to GET',
  'POST /upstream/callback/{id}': 'the answer of a provider, which is bound to the browser by its state',
  'POST /language': 'the selector at the foot of every page leads back to that page, which shows it again',
}

/** What does not come back, although it is no password. */
const NOT_KEPT: Record<string, string[]> = {
  // Typed, or ticked, so that nobody does it by mistake: it has to be done once more.
  'POST /account/deactivate': ['confirm'],
  'POST /device/{id}': ['confirm_device'],
  // A page cannot fill in a file.
  'POST /account/profile/picture': ['picture'],
}

let world: UpstreamWorld
let harness: Harness
/** The same deployment with more steps to a sign-up, and with terms. */
let steps: Harness
let terms: Harness
beforeAll(async () => {
  const email = { transport: 'smtp', mode: 'plain', hostname: '127.0.0.1', port: 1 } as const
  world = await upstreamWorld(
    {},
    {
      config: {
        email,
        account: {
          deactivation_grace_period: 86_400,
          password_recovery_enabled: true,
          password_registration_enabled: true,
          password_registration_email_required: false,
        },
      },
    },
  )
  harness = world.harness
  steps = await createHarness({
    beside: harness,
    config: {
      email,
      account: {
        password_registration_enabled: true,
        password_registration_email_required: true,
        password_registration_token_required: true,
      },
    },
  })
  terms = await createHarness({
    beside: harness,
    config: { branding: { tos_uri: 'https://example.test/terms' } },
  })
})
afterAll(async () => {
  await terms.close()
  await steps.close()
  await world.close()
})

let people = 0
const person = (): Promise<Person> => createSignedUp(harness, `walker${++people}`)
/** The same browser at another process. */
const at = (other: Harness, browser: Browser): Browser => copyCookies(browser, other.browser())
const beginSignUp = async (browser: Browser, fields: Record<string, string> = {}): Promise<Page> =>
  (await browser.open('/register')).submit(
    { username: `walker${++people}`, password: PASSWORD, password_confirm: PASSWORD, ...fields },
    { action: 'register/password' },
  )
const linkOf = (page: Page, pattern: RegExp): string => pattern.exec(page.text)?.[0] ?? ''

/** A browser and the address of a page with the form; `page` where only an answer has it. */
interface Stand {
  browser: Browser
  page: Page
}
const stand = async (browser: Browser, address: string): Promise<Stand> => ({
  browser,
  page: await browser.open(address),
})
/** Somebody to whom nothing happens, since no form of this file is taken. */
let reader: Promise<Person> | undefined
const standing = async (address: string): Promise<Stand> => {
  reader ??= person()
  return stand((await reader).browser, address)
}

/** An address that waits for its code. */
async function adding(): Promise<Stand> {
  const { browser, username } = await person()
  const form = await browser.open('/account/emails/add')
  return { browser, page: await form.submit({ email: `${username}@example.test` }, { action: 'emails/add' }) }
}
let addressed: Promise<Person> | undefined
const withAddresses = () => {
  addressed ??= makeAddresses()
  return addressed
}
async function makeAddresses(): Promise<Person> {
  const someone = await person()
  for (const domain of ['a.test', 'b.test'])
    await addEmail(harness.deps, harness.deps.sql, someone.userId, `${someone.username}@${domain}`)
  return someone
}
/** Somebody with another browser and an app, and the list of their sessions. */
let listed: Promise<{ browser: Browser; list: Page; clientId: string }> | undefined
const withSessions = () => {
  listed ??= makeSessions()
  return listed
}
async function makeSessions() {
  const { browser, username } = await person()
  await signInElsewhere(harness, username)
  const { client_id: clientId } = await registerClient(harness)
  await exchange(harness, clientId, await obtainCode(browser, clientId))
  return { browser, list: await browser.open('/account/sessions'), clientId }
}
async function withToken(page: string): Promise<Stand> {
  const { browser } = await person()
  const form = await browser.open('/account/tokens/new')
  await form.submit({ token_name: 'Bot', scope_matrix_api: '1', expires: '30' }, { action: 'tokens/new' })
  const list = await browser.open('/account/tokens')
  return stand(browser, linkOf(list, new RegExp(`/account/tokens/\\w{26}/${page}`)))
}
const newcomer = (name: string): void => {
  world.fake.claims = {
    sub: `sub-of-${name}`,
    preferred_username: name,
    name: `${name} Example`,
    email: `${name}@c.test`,
  }
}

/** Where the form of each route stands. */
const FORMS: Record<string, () => Promise<Stand>> = {
  'POST /login': () => stand(harness.browser(), '/login'),
  'POST /logout': () => standing('/account/'),
  'POST /end-session/confirm': async () => {
    const { browser, clientId } = await withSessions()
    return stand(browser, `/end-session?client_id=${clientId}&state=kept`)
  },
  'POST /register/password': () => stand(harness.browser(), '/register?token=an-invitation'),
  'POST /register/resume': async () => {
    const browser = harness.browser()
    await beginSignUp(browser)
    return stand(browser, '/register?token=an-invitation')
  },
  'POST /terms': async () => {
    const { browser } = await person()
    return stand(at(terms, browser), '/login')
  },
  'POST /register/steps/{id}/token': async () => {
    const browser = steps.browser()
    return { browser, page: await beginSignUp(browser, { email: 'token@example.test' }) }
  },
  'POST /register/steps/{id}/verify-email': async () => {
    const browser = steps.browser()
    const page = await beginSignUp(browser, { email: 'verify@example.test' })
    const made = await createRegistrationToken(steps.deps, { usageLimit: 1, expiresAt: null })
    return { browser, page: await page.submit({ token: made?.token ?? '' }, { action: '/token' }) }
  },
  'POST /register/steps/{id}/display-name': async () => {
    const browser = harness.browser()
    const step = await beginSignUp(browser)
    // Somebody else was faster: the page asks for another username too.
    await createPerson(harness, `walker${people}`)
    const page = await step.submit(
      { display_name: 'Me' },
      { action: '/display-name', button: ['action', 'set'] },
    )
    expect(page.text).toContain('name="username"')
    return { browser, page }
  },
  'POST /upstream/link/{id}': async () => {
    newcomer(`walker${++people}`)
    const browser = harness.browser()
    return { browser, page: await world.through(browser) }
  },
  'POST /account/linked/{id}/unlink': async () => {
    newcomer(`walker${++people}`)
    const browser = harness.browser()
    await signUpThere(await world.through(browser), {
      username: `walker${people}`,
      import_display_name: 'on',
    })
    const list = await browser.open('/account/linked')
    return stand(browser, linkOf(list, /\/account\/linked\/\w{26}\/unlink/))
  },
  'POST /recover': () => stand(harness.browser(), '/recover'),
  'POST /recover/progress/{id}': async () => {
    const browser = harness.browser()
    const form = await browser.open('/recover')
    return { browser, page: await form.submit({ email: 'lost@example.test' }, { action: '/recover' }) }
  },
  'POST /account/password/recovery': async () => {
    const { userId } = await person()
    return stand(harness.browser(), await issueRecoveryLink(harness.deps, userId))
  },
  'POST /consent/{id}': async () => {
    const { browser } = await person()
    const { client_id } = await registerClient(harness)
    return stand(browser, authorizeUrl(client_id))
  },
  'POST /link': () => stand(harness.browser(), '/link'),
  'POST /device/{id}': async () => {
    const { browser } = await person()
    const { user_code } = await requestDevice(harness, await registerDeviceClient(harness))
    return { browser, page: await enterCode(browser, user_code) }
  },
  'POST /complete-compat-sso/{id}': () =>
    standing('/_matrix/client/v3/login/sso/redirect?redirectUrl=https%3A%2F%2Fold.example%2F'),
  'POST /account/emails/add': () => standing('/account/emails/add'),
  'POST /account/emails/{id}/verify': adding,
  'POST /account/emails/{id}/cancel': adding,
  'POST /account/emails/{id}/primary': async () => stand((await withAddresses()).browser, '/account/emails'),
  'POST /account/emails/{id}/remove': async () => {
    const { browser } = await withAddresses()
    const list = await browser.open('/account/emails')
    return stand(browser, linkOf(list, /\/account\/emails\/\w{26}\/remove/))
  },
  'POST /account/tokens/new': () => standing('/account/tokens/new'),
  'POST /account/tokens/{id}/replace': () => withToken('replace'),
  'POST /account/tokens/{id}/revoke': () => withToken('revoke'),
  'POST /account/sessions/{id}': async () => {
    const { browser, list } = await withSessions()
    const { id } = listedSessions(list).find(({ name }) => name === 'Test App') ?? { id: '' }
    return stand(browser, `/account/sessions/${id}`)
  },
  'POST /account/sessions/{id}/end': async () => {
    const { browser, list } = await withSessions()
    const { id } = listedSessions(list).find(({ current }) => current) ?? { id: '' }
    return stand(browser, `/account/sessions/${id}/end`)
  },
  'POST /account/sessions/end': async () => {
    const { browser, list } = await withSessions()
    const ticks = listedSessions(list).map(({ id }) => [`end_${id}`, '1'])
    return { browser, page: await list.submit(Object.fromEntries(ticks), { action: 'sessions/end' }) }
  },
  'POST /account/sessions/end-others': async () =>
    stand((await withSessions()).browser, '/account/sessions/end-others'),
  'POST /account/profile': () => standing('/account/profile'),
  'POST /account/profile/picture': () => standing('/account/profile'),
  'POST /account/profile/picture/remove': async () => {
    const { browser } = await person()
    const page = await browser.open('/account/profile')
    const picture = new File([Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10])], 'me.png')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    return { browser, page: await browser.upload('/account/profile/picture', { csrf, picture }) }
  },
  'POST /account/profile/preferences': () => standing('/account/profile'),
  'POST /account/password/change': () => standing('/account/password/change'),
  'POST /account/reset-cross-signing': () => standing('/account/reset-cross-signing'),
  'POST /account/data/export': () => standing('/account/data'),
  'POST /account/deactivate': async () => {
    const { browser, page } = await standing('/account/deactivate')
    return { browser, page: await page.submit({ erase: '1' }, { action: 'account/deactivate' }) }
  },
  'POST /account/deactivate/undo': async () => {
    const { browser, username } = await withAddresses()
    const page = await browser.open('/account/deactivate')
    const sure = await page.submit({}, { action: 'account/deactivate' })
    await sure.submit({ confirm: username }, { action: 'account/deactivate' })
    const rows = await harness.deps.sql<{ id: string; sealed_content: string }[]>`
      select id, sealed_content from latchkey.mails where kind = 'deactivation'`
    for (const row of rows) {
      const mail = (await openMail(harness.deps, row))?.context as DeactivationMail
      if (mail.mxid.startsWith(`@${username}:`)) return stand(harness.browser(), mail.link)
    }
    throw new Error('no mail with the link')
  },
  'POST /account/apps/{id}/revoke': async () => {
    const { browser, clientId } = await withSessions()
    return stand(browser, `/account/apps/${clientId}/revoke`)
  },
  // The last one: nobody is fresh after it.
  'POST /account/confirm': async () => {
    const { browser } = await person()
    harness.clock.advance(601)
    return stand(browser, '/account/emails/add')
  },
}

/** The routes of the table that people's forms go to. */
const routes = () =>
  harness.app.routes
    .filter(
      ({ method, path }) =>
        method === 'POST' && !/^\/(oauth2|api|_matrix|upstream\/backchannel-logout)\//.test(path),
    )
    .map(({ method, path }) => `${method} ${path}`)

const patternOf = (route: string): RegExp =>
  new RegExp(`^${(route.split(' ')[1] ?? '').replace(/\{\w+\}/g, '\\w+')}$`)
const formsOf = (page: Page, route: string): SentForm[] =>
  readControls(page.text).filter(({ action }) =>
    patternOf(route).test(new URL(action || page.url.href, page.url).pathname),
  )

/** Something else than what is there, as a person might put it in. */
function filledIn(control: Control): Control {
  if (control.kind === 'check') return { ...control, checked: !control.checked }
  if (control.kind === 'choice') return { ...control, value: control.options.at(-1) ?? '' }
  if (control.kind !== 'text') return control
  if (control.type === 'email') return { ...control, value: 'typed.here@example.test' }
  return { ...control, value: control.name === 'code' ? 'K7Q-P2M' : 'typed-here-7' }
}
const sentBy = (controls: Control[]): Record<string, string> =>
  Object.fromEntries(
    controls
      .filter((control) => control.kind !== 'file' && (control.kind !== 'check' || control.checked))
      .map((control) => [control.name, control.kind === 'password' ? 'not to be seen 9' : control.value]),
  )
/** What of a form must be there again. */
const keptOf = (route: string, controls: Control[]) =>
  controls
    .filter(({ name, kind }) => name !== 'csrf' && kind !== 'password' && kind !== 'button')
    .filter(({ name }) => !NOT_KEPT[route]?.includes(name))
    .map(({ name, value, checked }) => `${name}=${value}${checked ? ' (ticked)' : ''}`)
    .sort()

describe('a form that is too old comes back with what was typed, and says so', () => {
  test('every route that takes a form of a page is in the list', () => {
    expect([...Object.keys(FORMS), ...Object.keys(EXCEPTIONS)].sort()).toEqual(routes().sort())
  })

  for (const [route, open] of Object.entries(FORMS))
    test(route, async () => {
      const { browser, page } = await open()
      const forms = formsOf(page, route)
      expect(forms.length).toBeGreaterThan(0)
      for (const form of forms) {
        const controls = form.controls.map(filledIn)
        const address = form.action || page.url.href
        const { csrf: _, ...fields } = sentBy(controls)
        for (const token of [{ csrf: 'A'.repeat(43) }, {}]) {
          const sent = { ...fields, ...token, ...form.button }
          const again = form.hasFile
            ? await browser.upload(address, sent)
            : await browser.post(address, sent, SAME_SITE)
          expect([again.status, again.text.includes(SENTENCE)]).toEqual([422, true])
          expect(again.text).not.toContain('not to be seen')
          const same = formsOf(again, route).find(
            (one) => one.controls.map(({ name }) => name).join() === controls.map(({ name }) => name).join(),
          )
          expect(keptOf(route, same?.controls ?? [])).toEqual(keptOf(route, controls))
        }
      }
    })
})
