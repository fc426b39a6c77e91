import type { Browser, Page } from './browser.ts'
import type { Harness } from './harness.ts'
import { exchange, obtainCode, PASSWORD } from './oauth.ts'

/** The CSRF token of a page. */
export const csrfOf = (page: Page): string => /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''

/** Signs in in a browser of its own. */
export async function signInElsewhere(
  harness: Harness,
  username: string,
  headers: Record<string, string> = {},
): Promise<Browser> {
  const browser = harness.browser(headers)
  const login = await browser.open('/login')
  await login.submit({ username, password: PASSWORD }, { action: 'login' })
  return browser
}

/** Another app session of the person, with a device of its own. */
export const signInApp = async (harness: Harness, browser: Browser, clientId: string, deviceId: string) =>
  exchange(
    harness,
    clientId,
    await obtainCode(browser, clientId, {
      scope: `openid urn:matrix:client:api:* urn:matrix:client:device:${deviceId}`,
    }),
  )

/** The sessions of a list, in order: id, name, whether it is this browser. */
export const listedSessions = (page: Page): { id: string; name: string; current: boolean }[] =>
  page.text
    .split('<li class="session')
    .slice(1)
    .map((item) => ({
      id: /account\/sessions\/(\w{26})"/.exec(item)?.[1] ?? '',
      name: /<bdi>([^<]*)<\/bdi>/.exec(item)?.[1] ?? '',
      current: item.includes('class="badge"'),
    }))
