import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import type { BrowserContextOptions } from 'playwright-core'
import { findUserByName } from '../../sql/users.ts'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import { signInApp, signInElsewhere } from '../support/account.ts'
import { CHROMIUM_START_MS, PASSWORD, signIn } from '../support/chromium.ts'
import { NO_LIMITS } from '../support/limits.ts'
import {
  CODE_LINE,
  codeIn,
  type MailServer,
  mailConfig,
  type ReceivedMail,
  startMailServer,
} from '../support/mail-server.ts'
import { authorizeUrl, exchange, introspect, registerClient } from '../support/oauth.ts'
import { looksOf, TWO_LOOKS, type Walker, walkAs } from './looks.ts'
import { APPLICATION, type BrowserService, SERVICE, startService } from './service.ts'

/**
 * What a person does with an account from its beginning to a new password, as far as no other file walks it, on a
 * service that asks for everything at a sign-up. `flows.ts` says which flow is walked where.
 */
const LONG = 240_000
const NEW_PASSWORD = 'an entirely different passphrase 7'
const DEVICES = ['AAAAAAAAAA', 'BBBBBBBBBB', 'CCCCCCCCCC', 'DDDDDDDDDD']

let server: MailServer
let service: BrowserService
let clientId: string
beforeAll(async () => {
  server = await startMailServer()
  const page =
    '<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><main><h1>Back in the app</h1></main>'
  service = await startService(() => new Response(page, { headers: { 'content-type': 'text/html' } }), {
    email: mailConfig(server),
    account: {
      password_registration_enabled: true,
      password_registration_email_required: true,
      password_registration_token_required: true,
      password_recovery_enabled: true,
    },
    branding: { tos_uri: 'https://www.example.com/terms', tos_version: '2026-11' },
    rate_limiting: NO_LIMITS,
  })
  clientId = (await registerClient(service.harness)).client_id
}, CHROMIUM_START_MS)
afterAll(async () => {
  await service?.stop()
  await server?.close()
}, LONG)

/** Problems that a walk provokes: a wrong code, a wrong password, a form of another browser, a link that was used. */
const PROVOKED = /status of (422|410)/
const visit = (
  name: string,
  look: BrowserContextOptions,
  act: (walker: Walker) => Promise<void>,
): Promise<void> => walkAs(service.chromium, name, look, act, PROVOKED)

async function lastMail(address: string): Promise<ReceivedMail> {
  await service.harness.runJobs()
  return server.last(address)
}
const isActive = async (token: string) => (await introspect(service.harness, token)).active

async function invitation(): Promise<string> {
  const made = await createRegistrationToken(service.harness.deps, { usageLimit: 1, expiresAt: null })
  return made?.token ?? ''
}

let people = 0
describe.each(looksOf(TWO_LOOKS))('%s', (name, look) => {
  const username = `walking${++people}`
  const address = `${username}@example.test`
  let password = PASSWORD

  /** The sign-in page in between, and on to where the person wanted to go. */
  const open = async ({ page }: Walker, path: string) => {
    await page.goto(`${SERVICE}${path}`)
    await page.getByLabel('Username').fill(username)
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  const beginSignUp = async ({ page, fill, press }: Walker, wanted: string, start = '/register') => {
    await page.goto(`${SERVICE}${start}`)
    await fill('Username', wanted)
    await fill('Email address', address)
    await fill('Password', PASSWORD)
    await fill('Password again', PASSWORD)
    await page.getByLabel('I accept the terms of use').check()
    await press('Create account')
  }

  test(
    'sign-up with every step: terms, an invitation that is mistyped first, the code of the mail; another language on the way',
    () =>
      visit(`every step, ${name}`, look, async (walker) => {
        const { page, sees, press, fill } = walker
        await beginSignUp(walker, username)
        await sees('Do you have an invitation?')
        await fill('Invitation', 'nonsense')
        await press('Continue')
        await page.getByRole('alert').getByText('This invitation does not work.').waitFor()
        await sees('Do you have an invitation?')
        await fill('Invitation', await invitation())
        await press('Continue')
        await sees('Enter the code from the mail')
        await fill('Code from the mail', codeIn(await lastMail(address)))
        await press('Continue')
        await sees('What should we call you?')
        await page.getByLabel('Language', { exact: true }).selectOption('de')
        await press('Change language')
        await sees('Wie sollen wir dich nennen?')
        expect(await page.locator('html').getAttribute('lang')).toBe('de')
        await page.getByLabel('Sprache', { exact: true }).selectOption('en')
        await press('Sprache ändern')
        await sees('What should we call you?')
        await fill('Display name', 'Walker')
        await press('Continue')
        await page.getByText(`@${username}:example.test`).first().waitFor()
      }),
    LONG,
  )

  test(
    'an app is let in; its sessions are searched, sorted, named, signed out one, several and all; its access is taken back',
    () =>
      visit(`sessions, ${name}`, look, async (walker) => {
        const { page, sees, press, fill } = walker
        const { harness } = service
        await page.goto(SERVICE + authorizeUrl(clientId))
        await sees('Sign in')
        await signIn(page, username)
        await sees('Continue to Test App?')
        await press('Continue')
        await sees('Back in the app')
        expect(page.url()).toStartWith(`${APPLICATION}/callback?`)
        const code = new URL(page.url()).searchParams.get('code') ?? ''
        const tokens = [(await exchange(harness, clientId, code)).access_token]
        const elsewhere = await signInElsewhere(harness, username)
        for (const device of DEVICES.slice(1))
          tokens.push((await signInApp(harness, elsewhere, clientId, device)).access_token)
        const active = () => Promise.all(tokens.map(isActive))

        await page.goto(`${SERVICE}/account/sessions`)
        await sees('Where you are signed in')
        const names = page.locator('.session h2 a')
        const item = (device: string) => page.getByRole('listitem').filter({ hasText: device })
        // The four apps, this browser, the one of the sign-up, and one elsewhere.
        expect(await names.count()).toBe(7)
        await page.getByRole('searchbox').fill('BBBBBBBBBB')
        await press('Search')
        await page.waitForURL(/q=BBBBBBBBBB/)
        expect(await names.count()).toBe(1)
        await names.click()
        await sees('Test App')
        await fill('Name', 'A tablet in the kitchen')
        await press('Save')
        await page.getByText('The new name is saved.').waitFor()
        await sees('A tablet in the kitchen')

        await page.goto(`${SERVICE}/account/sessions?kind=apps`)
        await page.getByLabel('Order', { exact: true }).selectOption('name')
        await press('Search')
        await page.waitForURL(/sort=name/)
        expect((await names.allTextContents()).at(0)).toBe('A tablet in the kitchen')
        expect(await names.count()).toBe(4)

        await item('AAAAAAAAAA').getByRole('link', { name: 'Sign out' }).click()
        await sees('Sign out of this device?')
        await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
        await page.getByText('That device is signed out.').waitFor()
        expect(await active()).toEqual([false, true, true, true])

        await page.goto(`${SERVICE}/account/sessions`)
        for (const device of ['BBBBBBBBBB', 'CCCCCCCCCC']) await item(device).getByRole('checkbox').check()
        await press('Sign out the ticked ones')
        await sees('Sign out of 2 devices?')
        await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
        await page.getByText('2 devices are signed out.').waitFor()
        expect(await active()).toEqual([false, false, false, true])

        await page.getByRole('link', { name: 'Sign out everywhere else' }).click()
        await sees('Sign out everywhere else?')
        expect(await page.getByLabel('2 other browsers').isChecked()).toBe(true)
        await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
        await page.getByText('2 devices are signed out.').waitFor()
        expect((await elsewhere.open('/account/')).url.pathname).toBe('/login')
        expect((await active()).at(-1)).toBe(true)

        await page.goto(`${SERVICE}/account/apps`)
        await sees('Connected apps')
        await page.getByRole('link', { name: 'Remove access' }).click()
        await sees('Remove the access of Test App?')
        await press('Remove access')
        await page.getByText('The app no longer has access to your account.').waitFor()
        expect((await active()).at(-1)).toBe(false)
        await page.goto(SERVICE + authorizeUrl(clientId))
        await sees('Continue to Test App?')
      }),
    LONG,
  )

  test(
    'name, language and time zone; a form that was open for too long; who it is, asked again; a token made, replaced, revoked; the data; the password; the log',
    () =>
      visit(`account, ${name}`, look, async (walker) => {
        const { page, sees, press, fill } = walker
        await open(walker, '/account/profile')
        await sees('Profile')
        await page.getByLabel('Language', { exact: true }).first().selectOption('de')
        await page.getByLabel('Time zone', { exact: true }).selectOption('Europe/Berlin')
        await press('Save language and time')
        await page.getByText('Deine Einstellungen sind gespeichert.').waitFor()
        await sees('Profil')
        await page.getByLabel('Sprache', { exact: true }).first().selectOption('')
        await press('Sprache und Zeit speichern')
        await page.getByText('Your settings are saved.').waitFor()
        expect(await page.getByLabel('Time zone', { exact: true }).inputValue()).toBe('Europe/Berlin')

        // The form of a browser that forgot who it was.
        await fill('Display name', 'Typed before')
        await page.context().clearCookies({ name: '__Host-browser' })
        await press('Save name')
        await page.getByRole('alert').getByText('This page was open for too long.').waitFor()
        await sees('Profile')
        expect(await page.getByLabel('Display name').inputValue()).toBe('Typed before')
        await press('Save name')
        await page.getByText('Your display name is saved.').waitFor()

        service.harness.clock.advance(601)
        await page.goto(`${SERVICE}/account/tokens`)
        await sees('Access tokens')
        await page.getByRole('link', { name: 'New token' }).click()
        await sees('Confirm that it is you')
        await fill('Password', 'not the password')
        await press('Confirm')
        await page.getByRole('alert').getByText('The password is not right.').waitFor()
        await fill('Password', password)
        await press('Confirm')
        await sees('New access token')
        await fill('What is it for?', 'Reminders')
        await press('Make the token')
        await sees('Your new token')
        const shown = async () => (await page.locator('.secret code').textContent()) ?? ''
        const first = await shown()
        expect(await isActive(first)).toBe(true)
        await page.getByRole('link', { name: 'I have copied it' }).click()
        await page.getByRole('link', { name: 'Replace Reminders' }).click()
        await sees('Replace this token?')
        await press('Replace the token')
        await sees('Your new token')
        const second = await shown()
        expect([await isActive(first), await isActive(second)]).toEqual([false, true])
        await page.getByRole('link', { name: 'I have copied it' }).click()
        await page.getByRole('link', { name: 'Revoke Reminders' }).click()
        await sees('Revoke this token?')
        await press('Revoke the token')
        await page.getByText('That token is revoked.').waitFor()
        expect(await isActive(second)).toBe(false)

        await page.goto(`${SERVICE}/account/data`)
        await sees('Data and deactivation')
        const downloads = page.waitForEvent('download')
        await press('Download my data')
        const download = await downloads
        expect(download.suggestedFilename()).toBe(`account-${username}.json`)
        expect(JSON.stringify(JSON.parse(await readFile(await download.path(), 'utf8')))).toContain(address)

        await page.goto(`${SERVICE}/account/password/change`)
        await sees('Change password')
        await fill('Current password', password)
        await fill('New password', NEW_PASSWORD)
        await fill('New password again', NEW_PASSWORD)
        await press('Change password')
        await page.getByText('Your password is changed.').waitFor()
        password = NEW_PASSWORD

        await page.goto(`${SERVICE}/account/security`)
        await sees('Security log')
        await page.getByText('Password changed').waitFor()
        await page.getByRole('banner').getByRole('button', { name: 'Sign out' }).click()
        await sees('You are signed out')
        await page.goBack()
        await page.reload()
        await sees('Sign in')
      }),
    LONG,
  )

  test(
    'an address that is taken: nobody learns it, its owner gets a mail that leads on; the link of an administrator works once',
    () =>
      visit(`taken and recovered, ${name}`, look, async (walker) => {
        const { page, sees, press, fill } = walker
        const { deps } = service.harness
        // With the invitation in the link.
        await beginSignUp(walker, `${username}again`, `/register?token=${await invitation()}`)
        await sees('Enter the code from the mail')
        const { text } = await lastMail(address)
        expect(text).toContain(`@${username}:example.test`)
        expect(text).not.toMatch(CODE_LINE)
        const [signInLink = ''] = /https:\/\/\S+/.exec(text) ?? []
        await page.goto(signInLink)
        await sees('Sign in')

        const [user] = await findUserByName(deps.sql, username, username)
        const link = await issueRecoveryLink(deps, user?.id ?? '')
        await page.goto(link)
        await sees('Choose a new password')
        await fill('New password', PASSWORD)
        await fill('New password again', PASSWORD)
        await press('Set password and sign in')
        await page.waitForURL(`${SERVICE}/account/`)
        await page.goto(link)
        await sees('This link does not work any more')
      }),
    LONG,
  )
})
