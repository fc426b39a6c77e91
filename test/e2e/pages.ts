import { PASSWORD, type Visitor } from '../support/chromium.ts'
import type { RedirectTarget } from '../support/loopback-client.ts'
import { type App, beginSignIn } from '../support/matrix-client.ts'

/**
 * Goes through the pages of a new person, `username`, who comes from `app`, which listens at `target`, and calls
 * `look` on each one with a name for it, as it is ready to be read.
 */
export async function walk(
  { page }: Visitor,
  app: App,
  target: RedirectTarget,
  username: string,
  look: (name: string) => Promise<void>,
): Promise<void> {
  const account = app.metadata.account_management_uri ?? ''
  const heading = (name: string) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
  const button = (name: string) => page.getByRole('button', { name, exact: true })

  const signingIn = await beginSignIn(app)
  await page.goto(signingIn.url)
  await heading('Sign in')
  await look('login')
  await page.getByLabel('Username', { exact: true }).fill(username)
  await page.getByLabel('Password', { exact: true }).fill('not the password')
  await button('Sign in').click()
  await page.getByRole('alert').waitFor()
  await look('login-wrong')

  await page.getByRole('link', { name: 'Create account' }).click()
  await heading('Create account')
  await look('register')
  await page.getByLabel('Username', { exact: true }).fill(username)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('Password again', { exact: true }).fill('something else')
  await button('Create account').click()
  await page.getByRole('alert').waitFor()
  await look('register-wrong')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('Password again', { exact: true }).fill(PASSWORD)
  await button('Create account').click()
  await heading('What should we call you?')
  await look('display-name')
  await page.getByLabel('Display name').fill('Grace Hopper')
  await button('Continue').click()
  await heading(`Continue to ${app.name}?`)
  await look('consent')
  await button('Continue').click()
  const { id } = await signingIn.finish(await target.callback())

  await page.goto(account)
  await heading('Your account')
  await look('account')
  await page.goto(new URL('sessions', account).href)
  await heading('Where you are signed in')
  await look('sessions')
  for (const path of [
    'profile',
    'password/change',
    'apps',
    'security',
    'data',
    'deactivate',
    'reset-cross-signing',
  ]) {
    await page.goto(new URL(path, account).href)
    await look(`account-${path.replace('/', '-')}`)
  }
  await page.goto(new URL('sessions', account).href)
  await page.getByRole('listitem').filter({ hasText: id }).getByRole('link', { name: 'Sign out' }).click()
  await heading('Sign out of this device?')
  await look('end-session')
  await page.goto(new URL('/', account).href)
  await look('start')
  await page.goto(new URL('/nowhere', account).href)
  await look('not-found')
}

/** Console lines about answers that the walk provokes: a wrong password, a form with errors, an unknown page. */
export const isProvoked = (problem: string): boolean =>
  /Failed to load resource: the server responded with a status of 4(04|22)/.test(problem)
