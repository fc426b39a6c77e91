import { consent, signIn } from '../support/chromium.ts'
import { CONSOLE, type Drive, SERVER_NAME } from './drive.ts'

/** Element Admin: signs in, finds people, opens one, locks and unlocks, makes and revokes an invitation, adds somebody, signs out. */
export const driveElementAdmin: Drive = async ({ page, called }) => {
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  /** Goes to a section; the page before it has buttons of the same names. */
  const section = async (name: string) => {
    await page.getByRole('link', { name, exact: true }).first().click()
    await page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
  }
  const person = (name: string) => page.getByText(`@${name}:${SERVER_NAME}`, { exact: true }).first()
  await page.goto(CONSOLE)
  await page.getByLabel('Server name').fill(SERVER_NAME)
  await page.locator('form').getByRole('button').click()
  await signIn(page, 'ada')
  await consent(page, 'Element Admin')

  await section('Users')
  await person('bob').waitFor()
  await person('alice').click()
  await page.getByText('alice@example.org').first().waitFor()
  await button('Lock account').click()
  await called('POST', /\/users\/\w+\/lock$/, () =>
    page.getByRole('dialog').getByRole('button', { name: 'Lock account' }).click(),
  )
  await called('POST', /\/users\/\w+\/unlock$/, () => button('Unlock account').click())
  await button('Lock account').waitFor()

  await section('Registration tokens')
  await button('Add').click()
  await called('POST', /\/user-registration-tokens$/, () => button('Create Token').click())
  await called('POST', /\/user-registration-tokens\/\w+\/revoke$/, () => button('Revoke token').click())
  await called('POST', /\/user-registration-tokens\/\w+\/unrevoke$/, () => button('Unrevoke token').click())

  await section('Users')
  await called('GET', /\/users\?.*search\]=al$/, () => page.getByPlaceholder('Search users…').fill('al'))
  await person('bob').waitFor({ state: 'detached' })
  await person('alice').waitFor()
  await button('Add').click()
  await page.getByRole('dialog').getByRole('textbox').fill('carol')
  await called('POST', /\/users$/, () => button('Create account').click())
  await person('carol').waitFor()

  await page.goto(CONSOLE)
  await page.locator('header button[aria-haspopup="menu"]').click()
  await called('POST', /\/oauth2\/revoke$/, () => page.getByRole('menuitem', { name: 'Sign out' }).click())
  await page.getByLabel('Server name').waitFor()
}
