import type { ConfigInput } from '../../src/config/schema.ts'
import { startChromium, type TestChromium } from '../support/chromium.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { serveHttps } from '../support/https.ts'

/** Where the service and the application of these tests live: one site, so that cookies reach frames. */
export const SERVICE = 'https://auth.example.com'
export const APPLICATION = 'https://app.example.com'

/** Latchkey in this process and Chromium, for what needs a browser and no homeserver. */
export interface BrowserService {
  harness: Harness
  chromium: TestChromium
  stop(): Promise<void>
}

/** Starts the service at `SERVICE`; `application` answers at `APPLICATION`. */
export async function startService(
  application: (request: Request) => Response | Promise<Response>,
  config: ConfigInput = {},
): Promise<BrowserService> {
  // Applications compare our times with those of their own machine.
  const harness = await createHarness({
    start: new Date().toISOString(),
    config: { ...config, http: { public_base: `${SERVICE}/` } },
  })
  const service = await serveHttps('auth.example.com', harness.app.handle)
  const app = await serveHttps('app.example.com', application)
  const chromium = await startChromium({
    'auth.example.com:443': service.port,
    'app.example.com:443': app.port,
  })
  return {
    harness,
    chromium,
    async stop() {
      await chromium.stop()
      await Promise.all([service.stop(), app.stop()])
      await harness.close()
    },
  }
}
