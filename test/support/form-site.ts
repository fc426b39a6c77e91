import { addEmail } from '../../src/identity/emails.ts'
import { openMail } from '../../src/identity/mails.ts'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import type { DeactivationMail, VerificationMail } from '../../src/render/contexts-mail.ts'
import { csrfOf, listedSessions, signInElsewhere } from './account.ts'
import { type Browser, copyCookies, type Page } from './browser.ts'
import { enterCode, registerDeviceClient, requestDevice } from './device.ts'
import { createHarness, type Harness } from './harness.ts'
import { createPerson } from './legacy.ts'
import { NO_LIMITS } from './limits.ts'
import {
  authorizeUrl,
  createSignedUp,
  exchange,
  obtainCode,
  PASSWORD,
  type Person,
  registerClient,
} from './oauth.ts'
import { readControls, type SentForm } from './page-forms.ts'
import { signUpThere, type UpstreamWorld, upstreamWorld } from './upstream.ts'

/** A deployment with every form of the pages somewhere, and a mail server that is never there. */
export interface FormSite {
  world: UpstreamWorld
  harness: Harness
  /** The same deployment with more steps to a sign-up, and with terms. */
  steps: Harness
  terms: Harness
  /** How many people there were. */
  people: number
  /** Makes something once where no form is taken, and anew each time where they are. */
  shared<T>(what: string, make: () => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** A browser, and the page with the form that it is on. */
export interface Stand {
  browser: Browser
  page: Page
  /** The process that the browser talks to. */
  at: Harness
  /** What a person puts into the form for it to be taken. */
  fields: Record<string, string | File>
}

type Given = Partial<Omit<Stand, 'browser' | 'page'>>

/** Starts one; with `taken` every form stands for itself, as they are taken. */
export async function startFormSite({ taken = false } = {}): Promise<FormSite> {
  const email = { transport: 'smtp', mode: 'plain', hostname: '127.0.0.1', port: 1 } as const
  const account = {
    deactivation_grace_period: 86_400,
    password_recovery_enabled: true,
    password_registration_enabled: true,
    password_registration_email_required: false,
  }
  const rate_limiting = NO_LIMITS
  const world = await upstreamWorld({}, { config: { email, account, rate_limiting } })
  const { harness } = world
  const steps = await createHarness({
    beside: harness,
    config: {
      email,
      rate_limiting,
      account: {
        password_registration_enabled: true,
        password_registration_email_required: true,
        password_registration_token_required: true,
      },
    },
  })
  const terms = await createHarness({
    beside: harness,
    config: { branding: { tos_uri: 'https://example.test/terms' } },
  })
  const made = new Map<string, Promise<unknown>>()
  return {
    world,
    harness,
    steps,
    terms,
    people: 0,
    shared<T>(what: string, make: () => Promise<T>) {
      const found = taken ? undefined : (made.get(what) as Promise<T> | undefined)
      if (found) return found
      const fresh = make()
      made.set(what, fresh)
      return fresh
    },
    async close() {
      await terms.close()
      await steps.close()
      await world.close()
    },
  }
}

const newName = (site: FormSite): string => `walker${++site.people}`
const person = (site: FormSite): Promise<Person> => createSignedUp(site.harness, newName(site))
const beginSignUp = async (
  site: FormSite,
  browser: Browser,
  fields: Record<string, string> = {},
): Promise<Page> =>
  (await browser.open('/register')).submit(
    { username: newName(site), password: PASSWORD, password_confirm: PASSWORD, ...fields },
    { action: 'register/password' },
  )
const linkOf = (page: Page, pattern: RegExp): string => pattern.exec(page.text)?.[0] ?? ''
const invitation = async ({ steps }: FormSite): Promise<string> =>
  (await createRegistrationToken(steps.deps, { usageLimit: 1, expiresAt: null }))?.token ?? ''

const stand = async (site: FormSite, browser: Browser, address: string, given: Given = {}): Promise<Stand> =>
  on(site, browser, await browser.open(address), given)
/** Where only an answer has the form. */
const on = (site: FormSite, browser: Browser, page: Page, given: Given = {}): Stand => ({
  browser,
  page,
  at: site.harness,
  fields: {},
  ...given,
})
const standing = async (site: FormSite, address: string, fields: Stand['fields'] = {}): Promise<Stand> => {
  const { browser } = await site.shared('reader', () => person(site))
  return stand(site, browser, address, { fields })
}

/** What the newest mail of a kind says that `isWanted`. */
async function mailOf<T>(site: FormSite, kind: string, isWanted: (mail: T) => boolean): Promise<T> {
  const rows = await site.harness.deps.sql<{ id: string; sealed_content: string }[]>`
    select id, sealed_content from latchkey.mails where kind = ${kind} order by id desc`
  for (const row of rows) {
    const mail = (await openMail(site.harness.deps, row))?.context as T
    if (isWanted(mail)) return mail
  }
  throw new Error(`There is no such mail of the kind ${kind}.`)
}
const codeFor = async (site: FormSite, username: string): Promise<string> =>
  (await mailOf<VerificationMail>(site, 'verification', ({ mxid }) => mxid.startsWith(`@${username}:`))).code

/** An address that waits for its code. */
async function adding(site: FormSite): Promise<Stand> {
  const { browser, username } = await person(site)
  const form = await browser.open('/account/emails/add')
  const page = await form.submit({ email: `${username}@example.test` }, { action: 'emails/add' })
  return on(site, browser, page, { fields: { code: await codeFor(site, username) } })
}
const withAddresses = (site: FormSite) =>
  site.shared('addresses', async () => {
    const someone = await person(site)
    for (const domain of ['a.test', 'b.test'])
      await addEmail(
        site.harness.deps,
        site.harness.deps.sql,
        someone.userId,
        `${someone.username}@${domain}`,
      )
    return someone
  })
/** Somebody with another browser and an app, and the list of their sessions. */
const withSessions = (site: FormSite) =>
  site.shared('sessions', async () => {
    const { browser, username } = await person(site)
    await signInElsewhere(site.harness, username)
    const { client_id: clientId } = await registerClient(site.harness)
    await exchange(site.harness, clientId, await obtainCode(browser, clientId))
    return { browser, list: await browser.open('/account/sessions'), clientId }
  })
async function withToken(site: FormSite, page: string): Promise<Stand> {
  const { browser } = await person(site)
  const form = await browser.open('/account/tokens/new')
  await form.submit({ token_name: 'Bot', scope_matrix_api: '1', expires: '30' }, { action: 'tokens/new' })
  const list = await browser.open('/account/tokens')
  return stand(site, browser, linkOf(list, new RegExp(`/account/tokens/\\w{26}/${page}`)))
}
const newcomer = ({ world }: FormSite, name: string): void => {
  world.fake.claims = {
    sub: `sub-of-${name}`,
    preferred_username: name,
    name: `${name} Example`,
    email: `${name}@c.test`,
  }
}
const picture = () =>
  new File([Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10])], 'me.png', { type: 'image/png' })
const NEW_PASSWORD = 'another quite long sentence 77'
const NEW = { password: NEW_PASSWORD, password_confirm: NEW_PASSWORD }

/** Where the form of each route stands, and what is typed there. */
export const FORMS: Record<string, (site: FormSite) => Promise<Stand>> = {
  'POST /login': async (site) => {
    const { username } = await site.shared('reader', () => person(site))
    return stand(site, site.harness.browser(), '/login', { fields: { username, password: PASSWORD } })
  },
  'POST /logout': (site) => standing(site, '/account/'),
  'POST /end-session/confirm': async (site) => {
    const { browser, clientId } = await withSessions(site)
    return stand(site, browser, `/end-session?client_id=${clientId}&state=kept`)
  },
  'POST /register/password': (site) =>
    stand(site, site.harness.browser(), '/register?token=an-invitation', {
      fields: { username: newName(site), password: PASSWORD, password_confirm: PASSWORD },
    }),
  'POST /register/resume': async (site) => {
    const browser = site.harness.browser()
    await beginSignUp(site, browser)
    return stand(site, browser, '/register?token=an-invitation')
  },
  'POST /terms': async (site) => {
    const { browser } = await person(site)
    return stand(site, copyCookies(browser, site.terms.browser()), '/login', { at: site.terms })
  },
  'POST /register/steps/{id}/token': async (site) => {
    const browser = site.steps.browser()
    const page = await beginSignUp(site, browser, { email: 'token@example.test' })
    return on(site, browser, page, { at: site.steps, fields: { token: await invitation(site) } })
  },
  'POST /register/steps/{id}/verify-email': async (site) => {
    const browser = site.steps.browser()
    const begun = await beginSignUp(site, browser, { email: `verify${site.people}@example.test` })
    const username = `walker${site.people}`
    const page = await begun.submit({ token: await invitation(site) }, { action: '/token' })
    return on(site, browser, page, { at: site.steps, fields: { code: await codeFor(site, username) } })
  },
  'POST /register/steps/{id}/display-name': async (site) => {
    const browser = site.harness.browser()
    const step = await beginSignUp(site, browser)
    // Somebody else was faster: the page asks for another username too.
    await createPerson(site.harness, `walker${site.people}`)
    const page = await step.submit(
      { display_name: 'Me' },
      { action: '/display-name', button: ['action', 'set'] },
    )
    if (!page.text.includes('name="username"')) throw new Error('The page asks for no other name.')
    return on(site, browser, page, { fields: { username: newName(site), display_name: 'Me' } })
  },
  'POST /upstream/link/{id}': async (site) => {
    const username = newName(site)
    newcomer(site, username)
    const browser = site.harness.browser()
    return on(site, browser, await site.world.through(browser), { fields: { username } })
  },
  'POST /account/linked/{id}/unlink': async (site) => {
    const username = newName(site)
    newcomer(site, username)
    const browser = site.harness.browser()
    await signUpThere(await site.world.through(browser), { username, import_display_name: 'on' })
    const list = await browser.open('/account/linked')
    return stand(site, browser, linkOf(list, /\/account\/linked\/\w{26}\/unlink/))
  },
  'POST /recover': (site) =>
    stand(site, site.harness.browser(), '/recover', { fields: { email: 'lost@example.test' } }),
  'POST /recover/progress/{id}': async (site) => {
    const browser = site.harness.browser()
    const form = await browser.open('/recover')
    return on(site, browser, await form.submit({ email: 'lost@example.test' }, { action: '/recover' }))
  },
  'POST /account/password/recovery': async (site) => {
    const { userId } = await person(site)
    const link = await issueRecoveryLink(site.harness.deps, userId)
    return stand(site, site.harness.browser(), link, { fields: NEW })
  },
  'POST /consent/{id}': async (site) => {
    const { browser } = await person(site)
    const { client_id } = await registerClient(site.harness)
    return stand(site, browser, authorizeUrl(client_id))
  },
  'POST /link': async (site) => {
    const { user_code } = await requestDevice(site.harness, await registerDeviceClient(site.harness))
    return stand(site, site.harness.browser(), '/link', { fields: { code: user_code } })
  },
  'POST /device/{id}': async (site) => {
    const { browser } = await person(site)
    const { user_code } = await requestDevice(site.harness, await registerDeviceClient(site.harness))
    return on(site, browser, await enterCode(browser, user_code), { fields: { confirm_device: '1' } })
  },
  'POST /complete-compat-sso/{id}': (site) =>
    standing(site, '/_matrix/client/v3/login/sso/redirect?redirectUrl=https%3A%2F%2Fold.example%2F'),
  'POST /account/emails/add': (site) =>
    standing(site, '/account/emails/add', { email: `added${++site.people}@example.test` }),
  'POST /account/emails/{id}/verify': adding,
  'POST /account/emails/{id}/cancel': adding,
  'POST /account/emails/{id}/primary': async (site) =>
    stand(site, (await withAddresses(site)).browser, '/account/emails'),
  'POST /account/emails/{id}/remove': async (site) => {
    const { browser } = await withAddresses(site)
    const list = await browser.open('/account/emails')
    return stand(site, browser, linkOf(list, /\/account\/emails\/\w{26}\/remove/))
  },
  'POST /account/tokens/new': (site) =>
    standing(site, '/account/tokens/new', { token_name: 'Bot', scope_matrix_api: '1', expires: '30' }),
  'POST /account/tokens/{id}/replace': (site) => withToken(site, 'replace'),
  'POST /account/tokens/{id}/revoke': (site) => withToken(site, 'revoke'),
  'POST /account/sessions/{id}': async (site) => {
    const { browser, list } = await withSessions(site)
    const { id } = listedSessions(list).find(({ name }) => name === 'Test App') ?? { id: '' }
    return stand(site, browser, `/account/sessions/${id}`, { fields: { name: 'A new name' } })
  },
  'POST /account/sessions/{id}/end': async (site) => {
    const { browser, list } = await withSessions(site)
    const { id } = listedSessions(list).find(({ current }) => current) ?? { id: '' }
    return stand(site, browser, `/account/sessions/${id}/end`)
  },
  'POST /account/sessions/end': async (site) => {
    const { browser, list } = await withSessions(site)
    const ticks = listedSessions(list).map(({ id }) => [`end_${id}`, '1'])
    return on(site, browser, await list.submit(Object.fromEntries(ticks), { action: 'sessions/end' }))
  },
  'POST /account/sessions/end-others': async (site) =>
    stand(site, (await withSessions(site)).browser, '/account/sessions/end-others'),
  'POST /account/profile': (site) => standing(site, '/account/profile', { display_name: 'Somebody else' }),
  'POST /account/profile/picture': (site) => standing(site, '/account/profile', { picture: picture() }),
  'POST /account/profile/picture/remove': async (site) => {
    const { browser } = await person(site)
    const page = await browser.open('/account/profile')
    const sent = { csrf: csrfOf(page), picture: picture() }
    return on(site, browser, await browser.upload('/account/profile/picture', sent))
  },
  'POST /account/profile/preferences': (site) =>
    standing(site, '/account/profile', { locale: 'de', time_zone: 'Europe/Berlin' }),
  'POST /account/password/change': (site) =>
    standing(site, '/account/password/change', { current_password: PASSWORD, ...NEW }),
  'POST /account/reset-cross-signing': (site) => standing(site, '/account/reset-cross-signing'),
  'POST /account/data/export': (site) => standing(site, '/account/data'),
  'POST /account/deactivate': async (site) => {
    const { browser, username } = await site.shared('reader', () => person(site))
    const page = await browser.open('/account/deactivate')
    return on(site, browser, await page.submit({ erase: '1' }, { action: 'account/deactivate' }), {
      fields: { confirm: username },
    })
  },
  'POST /account/deactivate/undo': async (site) => {
    const { browser, username } = await withAddresses(site)
    const page = await browser.open('/account/deactivate')
    const sure = await page.submit({}, { action: 'account/deactivate' })
    await sure.submit({ confirm: username }, { action: 'account/deactivate' })
    const isTheirs = ({ mxid }: DeactivationMail) => mxid.startsWith(`@${username}:`)
    const { link } = await mailOf<DeactivationMail>(site, 'deactivation', isTheirs)
    return stand(site, site.harness.browser(), link)
  },
  'POST /account/apps/{id}/revoke': async (site) => {
    const { browser, clientId } = await withSessions(site)
    return stand(site, browser, `/account/apps/${clientId}/revoke`)
  },
  // The last one: nobody is fresh after it.
  'POST /account/confirm': async (site) => {
    const { browser } = await person(site)
    site.harness.clock.advance(601)
    return stand(site, browser, '/account/emails/add', { fields: { password: PASSWORD } })
  },
}

/** The routes of the table that people's forms go to. */
export const formRoutes = ({ harness }: FormSite): string[] =>
  harness.app.routes
    .filter(
      ({ method, path }) =>
        method === 'POST' && !/^\/(oauth2|api|_matrix|upstream\/backchannel-logout)\//.test(path),
    )
    .map(({ method, path }) => `${method} ${path}`)

const patternOf = (route: string): RegExp =>
  new RegExp(`^${(route.split(' ')[1] ?? '').replace(/\{\w+\}/g, '\\w+')}$`)
/** The forms of a page that go to a route. */
export const formsOf = (page: Page, route: string): SentForm[] =>
  readControls(page.text).filter(({ action }) =>
    patternOf(route).test(new URL(action || page.url.href, page.url).pathname),
  )
