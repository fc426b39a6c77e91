import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { syncProviders } from '../../src/upstream/sync.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { startProvider, type TestProvider } from '../support/provider.ts'

const ID = '01JDFX2V9S6QK3W4Z5Y7T8R9PA'
const CALLBACK = `http://auth.test/upstream/callback/${ID}`

let provider: TestProvider
let harness: Harness

beforeAll(async () => {
  provider = await startProvider({
    clients: [
      {
        client_id: 'latchkey',
        client_secret: 'a secret of sixteen or more letters',
        redirect_uris: [CALLBACK],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
  })
  harness = await createHarness({
    config: {
      upstream_oauth2: {
        providers: [
          {
            id: ID,
            issuer: provider.issuer,
            human_name: 'Harbour',
            client_id: 'latchkey',
            client_secret: 'a secret of sixteen or more letters',
            token_endpoint_auth_method: 'client_secret_basic',
            scope: 'openid profile email',
            fetch_userinfo: true,
            claims_imports: {
              localpart: { action: 'suggest' },
              displayname: { action: 'suggest' },
              email: { action: 'suggest' },
            },
          },
        ],
      },
    },
  })
  await syncProviders(harness.deps)
})
afterAll(async () => {
  await harness.close()
  await provider.close()
})

/** Follows the button of a page to the provider, signs in there, and comes back. */
async function through(browser: Browser, start: string): Promise<Page> {
  const away = await browser.open(start)
  expect(away.url.origin).toBe(provider.issuer)
  const { url } = await provider.visit(away.url)
  return browser.open(url.href)
}

describe('sign-in through a provider', () => {
  test('GET /login: has a button for each provider, which keeps where the person is going', async () => {
    const page = await harness.browser().open('/login?kind=manage_account&page=apps')
    expect(page.text).toContain('Continue with Harbour')
    expect(page.text).toContain(`/upstream/authorize/${ID}?kind=manage_account&amp;page=apps`)
  })

  test('a new person signs up with what the provider says, and signs in with it later', async () => {
    provider.account = {
      sub: 'alice-1',
      preferred_username: 'alice',
      name: 'Alice Liddell',
      email: 'alice@harbour.example',
      email_verified: true,
    }
    const browser = harness.browser()
    const link = await through(browser, `/upstream/authorize/${ID}?kind=manage_account&page=emails`)
    expect(link.url.pathname).toStartWith('/upstream/link/')
    expect(link.text).toContain('value="alice"')
    const done = await link.submit(
      { username: 'alice', import_email: 'on', import_display_name: 'on' },
      { action: '/upstream/link/', button: ['action', 'register'] },
    )
    expect(done.url.pathname).toBe('/account/emails')
    expect(done.text).toContain('alice@harbour.example')
    const again = harness.browser()
    const home = await through(again, `/upstream/authorize/${ID}?kind=manage_account&page=profile`)
    expect(home.url.pathname).toBe('/account/profile')
    expect(home.text).toContain('Alice Liddell')
    const figures = new Map(
      (await harness.deps.metrics.read()).map(({ name, points }) => [
        name,
        points.map(({ values, value }) => [...values, value]),
      ]),
    )
    expect(figures.get('mas.upstream_oauth2.callback')).toEqual([[ID, 'success', 2]])
    expect(figures.get('mas.upstream_oauth2.registration')).toEqual([[ID, 1]])
    expect(figures.get('mas.upstream_oauth2.login')).toEqual([[ID, 1]])
    // No password was chosen.
    expect(figures.get('mas.user.password_registration')).toEqual([])
  })
})
