import { consent, signIn } from '../support/chromium.ts'
import { CONSOLE, type Drive, MATRIX, SERVER_NAME } from './drive.ts'

/** Ketesa: signs in, lists people, opens one, locks and unlocks, ends a session, makes an invitation. */
export const driveKetesa: Drive = async ({ page, called }) => {
  const button = (name: string) => page.getByRole('button', { name }).first()
  const alice = `${CONSOLE}/#/users/${encodeURIComponent(`@alice:${SERVER_NAME}`)}`
  await page.goto(CONSOLE)
  const address = page.getByLabel('Homeserver URL')
  await address.fill(MATRIX)
  await address.blur()
  await page.getByRole('button', { name: /OIDC|OAuth/i }).click()
  await signIn(page, 'ada')
  await consent(page, 'Ketesa')

  const people = page.getByText(`@bob:${SERVER_NAME}`).first()
  await people.waitFor()
  await page.getByText(`@alice:${SERVER_NAME}`).first().click()
  // The form begins anew with each part of the person that arrives.
  await page.waitForLoadState('networkidle')
  await page.getByLabel('Locked').check()
  await called('POST', /\/users\/\w+\/lock$/, () => button('Save').click())
  await page.goto(`${CONSOLE}/#/users`)
  await people.waitFor()
  await page.goto(alice)
  await page.waitForLoadState('networkidle')
  await page
    .getByRole('checkbox', { name: 'Locked', checked: true })
    .or(page.getByRole('switch', { name: 'Locked', checked: true }))
    .waitFor()
  await page.getByLabel('Locked').uncheck()
  await called('POST', /\/users\/\w+\/unlock$/, () => button('Save').click())

  await page.goto(`${CONSOLE}/#/users`)
  await people.waitFor()
  await page.goto(alice)
  await page.getByRole('tab', { name: 'Sessions', exact: true }).click()
  await page.getByRole('tab', { name: 'Compatibility Sessions' }).click()
  await button('Terminate').click()
  await called('POST', /\/compat-sessions\/\w+\/finish$/, () => button('Confirm').click())

  await page.goto(`${CONSOLE}/#/registration_tokens/create`)
  await called('POST', /\/user-registration-tokens$/, () => button('Save').click())
}
