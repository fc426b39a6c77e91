import { afterAll, beforeAll, expect, test } from 'bun:test'
import { syncProviders } from '../../src/upstream/sync.ts'
import { CHROMIUM_START_MS } from '../support/chromium.ts'
import { authorizeUrl, exchange, registerClient, WEB_CLIENT } from '../support/oauth.ts'
import { startProvider, type TestProvider } from '../support/provider.ts'
import { PROVIDER, SUGGEST } from '../support/upstream.ts'
import { APPLICATION, type BrowserService, SERVICE, startService } from './service.ts'

const LONG = 240_000
const BACK = `${APPLICATION}/signed-out`

let provider: TestProvider
let service: BrowserService
beforeAll(async () => {
  provider = await startProvider({
    clients: [
      {
        client_id: 'latchkey',
        redirect_uris: [`${SERVICE}/upstream/callback/${PROVIDER}`],
        post_logout_redirect_uris: [`${SERVICE}/`],
        token_endpoint_auth_method: 'none',
      },
    ],
  })
  service = await startService(() => new Response('the app'), {
    upstream_oauth2: {
      providers: [
        {
          id: PROVIDER,
          issuer: provider.issuer,
          human_name: 'Harbour',
          client_id: 'latchkey',
          token_endpoint_auth_method: 'none',
          scope: 'openid profile',
          claims_imports: SUGGEST,
          email_domains: ['harbour.example'],
          rp_initiated_logout: true,
        },
      ],
    },
  })
  await syncProviders(service.harness.deps)
}, CHROMIUM_START_MS)
afterAll(async () => {
  await service?.stop()
  await provider?.close()
})

test.each([true, false])(
  'an address and Enter lead from an app to the provider and into the app; its sign-out, through the provider and back (with script: %p)',
  async (javaScriptEnabled) => {
    const name = javaScriptEnabled ? 'scripted' : 'plain'
    provider.account = { sub: name, preferred_username: name, name: `${name} Example` }
    const metadata = { ...WEB_CLIENT, post_logout_redirect_uris: [BACK] }
    const { client_id } = await registerClient(service.harness, metadata)
    await service.chromium.visit(
      { javaScriptEnabled, viewport: { width: 360, height: 740 } },
      async ({ page, problems, accessibilityProblems }) => {
        await page.goto(SERVICE + authorizeUrl(client_id, { scope: 'openid' }))
        await page.getByLabel('Username').fill('somebody@elsewhere.example')
        await page.getByLabel('Username').press('Enter')
        await page.getByText('people sign in here: enter your password').first().waitFor()
        if (javaScriptEnabled) expect(await accessibilityProblems()).toEqual([])
        problems.length = 0
        await page.getByLabel('Username').fill(`${name}@harbour.example`)
        await page.getByLabel('Username').press('Enter')
        await page.getByRole('heading', { name: 'Create your account' }).waitFor()
        const asked = provider.asked.filter(({ path }) => path.startsWith('/auth?')).at(-1)
        expect(new URL(asked?.path ?? '', provider.issuer).searchParams.get('login_hint')).toBe(
          `${name}@harbour.example`,
        )
        await page.getByRole('button', { name: 'Create account' }).click()
        await page.getByRole('button', { name: /^(Continue|Allow)/ }).click()
        await page.waitForURL(`${APPLICATION}/callback**`)
        const code = new URL(page.url()).searchParams.get('code') ?? ''
        const { id_token = '' } = await exchange(service.harness, client_id, code)

        const wanted = { id_token_hint: id_token, post_logout_redirect_uri: BACK, state: 'of the app' }
        // The page leads on at once, so the navigation may be over before it was seen to begin.
        await page.goto(`${SERVICE}/end-session?${new URLSearchParams(wanted)}`).catch(() => undefined)
        await page.getByRole('button', { name: /yes/i }).click()
        await page.waitForURL(`${BACK}?state=of+the+app`)
        // Back: at the provider nobody is signed in, ours does not go on to the app a second time, and the page that led
        // on by itself is not in the way.
        await page.goBack().catch(() => undefined)
        await page.waitForURL(({ origin }) => origin === (javaScriptEnabled ? SERVICE : provider.issuer))
        await page.goBack()
        await page.waitForURL(`${APPLICATION}/callback**`)
        await page.goto(`${SERVICE}/account/`)
        await page.getByRole('heading', { name: 'Sign in' }).first().waitFor()
        expect(problems.filter((problem) => problem.startsWith(SERVICE))).toEqual([])
      },
    )
  },
  LONG,
)
