import { afterAll, beforeAll, expect, test } from 'bun:test'
import { findUserByName, setAdmin } from '../../sql/users.ts'
import { syncClients } from '../../src/commands/static-clients.ts'
import { CHROMIUM_START_MS, PASSWORD } from '../support/chromium.ts'
import { signUp } from '../support/oauth.ts'
import { type BrowserService, SERVICE, startService } from './service.ts'

const LONG = 240_000

let service: BrowserService
beforeAll(async () => {
  service = await startService(() => new Response('', { status: 404 }))
  const { harness } = service
  await syncClients(harness.deps)
  await signUp(harness.browser(), 'ada')
  const [ada] = await findUserByName(harness.deps.sql, 'ada', 'ada')
  await setAdmin(harness.deps.sql, ada?.id ?? '', true)
}, CHROMIUM_START_MS)
afterAll(() => service?.stop())

test(
  'GET /api/doc/: an admin signs in there and calls the API, under the policy of every page',
  () =>
    service.chromium.visit({}, async ({ page, problems, requests }) => {
      await page.goto(`${SERVICE}/api/doc/`)
      await page.getByRole('heading', { name: 'Latchkey admin API' }).waitFor()
      await page.getByRole('button', { name: 'Authorize' }).first().click()
      const dialog = page.locator('.dialog-ux')
      const flow = dialog.locator('.auth-container').filter({ hasText: 'authorizationCode' })
      await flow.getByText('urn:mas:admin', { exact: true }).waitFor()
      const popup = page.waitForEvent('popup')
      await flow.locator('button.authorize').click()
      const window = await popup
      await window.getByLabel('Username').fill('ada')
      await window.getByLabel('Password', { exact: true }).fill(PASSWORD)
      await window.getByRole('button', { name: 'Sign in' }).click()
      await window.getByText('Administer all accounts of this service').waitFor()
      await Promise.all([
        window.waitForEvent('close'),
        window.getByRole('button', { name: /^(Continue|Allow)/ }).click(),
      ])
      await flow.getByText('Logout').waitFor()
      await dialog.locator('.close-modal').click()

      const operation = page.locator('#operations-server-getVersion')
      await operation.locator('.opblock-summary-control').click()
      await operation.getByRole('button', { name: 'Try it out' }).click()
      await operation.getByRole('button', { name: 'Execute' }).click()
      await operation.locator('.live-responses-table .response-col_status').getByText('200').waitFor()
      expect(
        requests.filter((address) => !address.startsWith(SERVICE) && !address.startsWith('data:')),
      ).toEqual([])
      expect(problems).toEqual([])
    }),
  LONG,
)
