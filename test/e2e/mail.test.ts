import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { BrowserContextOptions } from 'playwright-core'
import { CHROMIUM_START_MS, PASSWORD } from '../support/chromium.ts'
import { NO_LIMITS } from '../support/limits.ts'
import { codeIn, type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { looksOf, SOME_LOOKS, TWO_LOOKS, type Walker, walkAs } from './looks.ts'
import { type BrowserService, SERVICE, startService } from './service.ts'

const LONG = 240_000
const NEW_PASSWORD = 'an entirely different passphrase 7'

/** One green point, as PNG. */
const PICTURE =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgaGD4DwACggF/q8Yh1wAAAABJRU5ErkJggg=='

let server: MailServer
let service: BrowserService
beforeAll(async () => {
  server = await startMailServer()
  service = await startService(() => new Response('no application'), {
    email: mailConfig(server),
    account: {
      password_registration_enabled: true,
      password_registration_email_required: true,
      password_recovery_enabled: true,
      deactivation_grace_period: 14 * 86_400,
    },
    rate_limiting: NO_LIMITS,
  })
}, CHROMIUM_START_MS)
afterAll(async () => {
  await service?.stop()
  await server?.close()
}, LONG)

/** Where pictures of the pages go, for somebody who wants to look at them. */
const pictures = process.env.LATCHKEY_TEST_PICTURES

/** Problems that a walk provokes: a wrong code, a weak password, a link that was used. */
const PROVOKED = /status of (422|410)/
const visit = (
  name: string,
  look: BrowserContextOptions,
  act: (walker: Walker) => Promise<void>,
): Promise<void> => walkAs(service.chromium, name, look, act, PROVOKED)

async function codeFor(address: string): Promise<string> {
  await service.harness.runJobs()
  return codeIn(server.last(address))
}

const dear = new Set(looksOf(TWO_LOOKS).map(([name]) => name))
let people = 0
for (const [name, look] of looksOf(SOME_LOOKS))
  describe(name, () => {
    const username = `walker${++people}`
    const address = `${username}@example.test`

    test(
      'sign-up with an address that was mistyped first, and its code',
      () =>
        visit(`sign-up by mail, ${name}`, look, async (walker) => {
          const { page, sees, press, fill } = walker
          await page.goto(`${SERVICE}/register`)
          await fill('Username', username)
          await fill('Email address', `typo-${address}`)
          await fill('Password', PASSWORD)
          await fill('Password again', PASSWORD)
          await sees('Create account')
          await press('Create account')
          await sees('Enter the code from the mail')
          await fill('Code from the mail', '123')
          await press('Continue')
          await page.getByRole('alert').waitFor()
          await sees('Enter the code from the mail')
          await page.getByText('Use another address').click()
          await fill('Other email address', address)
          await press('Send a code there')
          await page.getByText('A new code is on its way').waitFor()
          await sees('Enter the code from the mail')
          await fill('Code from the mail', await codeFor(address))
          await press('Continue')
          await page.getByLabel('Display name').fill('Walker')
          await press('Continue')
          await page.getByText(`@${username}:`).first().waitFor()
        }),
      LONG,
    )

    test(
      'a lost password: the mail, its link, a weak password, a good one; the link does not work twice',
      () =>
        visit(`recovery, ${name}`, look, async (walker) => {
          const { page, sees, press, fill } = walker
          await page.goto(`${SERVICE}/login`)
          await page.getByRole('link', { name: 'Forgot your password?' }).click()
          await sees('Get back into your account')
          await fill('Email address', address)
          await press('Send the link')
          await sees('Check your mail')
          await service.harness.runJobs()
          const [link = ''] = /https:\/\/\S+ticket=\w+/.exec(server.last(address).text) ?? []
          await page.goto(link)
          await fill('New password', 'password')
          await fill('New password again', 'password')
          await press('Set password and sign in')
          await page.getByRole('alert').waitFor()
          await sees('Choose a new password')
          await fill('New password', NEW_PASSWORD)
          await fill('New password again', NEW_PASSWORD)
          await press('Set password and sign in')
          await page.waitForURL(`${SERVICE}/account/`)
          await page.goto(link)
          await sees('This link does not work any more')
        }),
      LONG,
    )

    test(
      'another address: its code, the main address, and its removal',
      () =>
        visit(`addresses, ${name}`, look, async (walker) => {
          const { page, sees, press, fill } = walker
          const second = `second-${address}`
          // The main address is the oldest one.
          service.harness.clock.advance(1)
          await page.goto(`${SERVICE}/account/emails`)
          await fill('Username', username)
          await fill('Password', NEW_PASSWORD)
          await press('Sign in')
          await sees('Email addresses')
          await page.getByRole('link', { name: 'Add an address' }).click()
          await sees('Add an email address')
          await fill('Email address', second)
          await press('Send a code')
          await sees('Enter the code from the mail')
          await fill('Code from the mail', await codeFor(second))
          await press('Continue')
          await page.getByText('The address is yours now.').waitFor()
          await page.getByRole('button', { name: `Make main address ${second}` }).click()
          await page.getByText('Mail about your account goes there from now on.').waitFor()
          await sees('Email addresses')
          await page.getByRole('link', { name: `Remove ${address}` }).click()
          await sees('Remove this address?')
          await press('Remove')
          await page.getByText('The address is removed.').waitFor()
          await page.getByText(second).waitFor()
        }),
      LONG,
    )

    // Dear in a browser: once with script and once without.
    if (!dear.has(name)) return
    test(
      'a picture of one’s own; leaving, the mail about it, and its link that takes it back',
      () =>
        visit(`picture and leaving, ${name}`, look, async (walker) => {
          const { page, sees, press, fill } = walker
          await page.goto(`${SERVICE}/account/profile`)
          await fill('Username', username)
          await fill('Password', NEW_PASSWORD)
          await press('Sign in')
          await page
            .getByLabel('Picture', { exact: true })
            .setInputFiles({ name: 'me.png', mimeType: 'image/png', buffer: Buffer.from(PICTURE, 'base64') })
          const shown = page.waitForResponse('**/account/picture?*')
          await press('Save picture')
          await page.getByText('Your picture is saved.').waitFor()
          expect((await shown).status()).toBe(200)
          await press('Remove picture')
          await page.getByText('Your picture is removed.').waitFor()

          await page.goto(`${SERVICE}/account/deactivate`)
          await sees('Deactivate your account')
          await press('Continue')
          await sees('Deactivate it for good?')
          await fill('Type your username to confirm', username)
          await press('Deactivate my account')
          await sees('Your account will be deactivated')
          await service.harness.runJobs()
          const mail = server.last(`second-${address}`)
          const [link = ''] = /https:\/\/\S+ticket=\w+/.exec(mail.text) ?? []
          await page.goto(link)
          await sees('Keep your account?')
          await press('Keep my account')
          await sees('Your account stays')
          await page.goto(`${SERVICE}/account/`)
          await fill('Username', username)
          await fill('Password', NEW_PASSWORD)
          await press('Sign in')
          await page.waitForURL(`${SERVICE}/account/`)
          await service.harness.runJobs()
        }),
      LONG,
    )
  })

describe('mails as people see them', () => {
  for (const [look, options] of Object.entries({
    light: { colorScheme: 'light', viewport: { width: 700, height: 800 } },
    'dark, phone': { colorScheme: 'dark', viewport: { width: 320, height: 640 } },
  } as const))
    test(
      `are accessible and fit the window: ${look}`,
      async () => {
        const seen = new Map(server.mails.map((mail) => [mail.subject.replace(/\d{6}/, 'code'), mail]))
        expect([...seen.keys()].sort()).toEqual([
          'A new password for your account',
          'Deactivation taken back',
          'Email address added',
          'Email address removed',
          'Main email address changed',
          'Password reset',
          'Sign-in from a new browser',
          'Your account will be deactivated',
          'code is your code',
        ])
        const visitor = await service.chromium.visitor(options)
        const found: string[] = []
        for (const [subject, { html }] of seen) {
          await visitor.page.goto(`${SERVICE}/health`)
          await visitor.page.setContent(html)
          found.push(...(await visitor.accessibilityProblems()).filter((line) => !MAIL_RULES.test(line)))
          const tooWide = await visitor.page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
          )
          if (tooWide > 0) found.push(`${subject}: ${tooWide} pixels wider than the window`)
          if (pictures)
            await visitor.page.screenshot({
              path: join(pictures, `mail-${look}-${subject}.png`.replace(/[^\w.]+/g, '-')),
              fullPage: true,
            })
        }
        await visitor.close()
        expect(found).toEqual([])
      },
      LONG,
    )
})

/** What pages have and mails do not: landmarks and a heading around the whole. */
const MAIL_RULES = /: (region|landmark-one-main|page-has-heading-one) /
