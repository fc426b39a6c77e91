import { expect } from 'bun:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import type { Browser, Page } from './browser.ts'
import { type FakeProvider, startFakeProvider } from './fake-provider.ts'
import { createHarness, type Harness, type HarnessOptions } from './harness.ts'

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]

/** Id of the provider in tests. */
export const PROVIDER = '01JDFX2V9S6QK3W4Z5Y7T8R9PA'

/** Claims that are suggested to whoever signs up. */
export const SUGGEST = {
  localpart: { action: 'suggest' as const },
  displayname: { action: 'suggest' as const },
  email: { action: 'suggest' as const },
}

/** A Latchkey and its provider, of which nobody else knows. */
export interface UpstreamWorld {
  harness: Harness
  fake: FakeProvider
  /** Sets out, comes back with the answer of the provider (changed as `answer` says), and sees where that leads. */
  through(browser: Browser, start?: string, changes?: Record<string, string | undefined>): Promise<Page>
  close(): Promise<void>
}

/** Starts both; `provider` is added to what the configuration says of it. */
export async function upstreamWorld(
  provider: ProviderInput = {},
  { config, ...options }: HarnessOptions = {},
): Promise<UpstreamWorld> {
  const clock = { now: () => new Date() }
  const fake = await startFakeProvider({ clock: { now: () => clock.now() } })
  const harness = await createHarness({
    ...options,
    config: {
      ...config,
      upstream_oauth2: {
        providers: [
          {
            id: PROVIDER,
            issuer: fake.issuer,
            human_name: 'Harbour',
            client_id: 'latchkey',
            token_endpoint_auth_method: 'none',
            scope: 'openid profile',
            claims_imports: SUGGEST,
            ...provider,
          },
        ],
      },
    },
  })
  clock.now = () => harness.clock.now()
  await syncProviders(harness.deps)
  return {
    harness,
    fake,
    async through(browser, start = `/upstream/authorize/${PROVIDER}`, changes = {}) {
      const away = await browser.open(start)
      expect(away.url.origin).toBe(fake.issuer)
      return browser.open(fake.answer(away.url, changes).href)
    },
    async close() {
      fake.stop()
      await harness.close()
    },
  }
}

/** Signs up on the page of somebody whom nobody knows yet. */
export const signUpThere = (page: Page, fields: Record<string, string>): Promise<Page> =>
  page.submit(fields, { action: '/upstream/link/', button: ['action', 'register'] })
