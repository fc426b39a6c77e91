// Pictures of the pages, for the README and for looking at them: bun test/e2e/screenshots.ts DIRECTORY
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startChromium } from '../support/chromium.ts'
import { startHttpsClient } from '../support/loopback-client.ts'
import { discover, registerApp } from '../support/matrix-client.ts'
import { walk } from './pages.ts'
import { startTestStack } from './stack.ts'

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } }
const SCHEMES = ['light', 'dark'] as const

const directory = process.argv[2]
if (!directory) {
  console.error('Say where to: bun test/e2e/screenshots.ts DIRECTORY')
  process.exit(2)
}
await mkdir(directory, { recursive: true })

await using started = new AsyncDisposableStack()
const target = await startHttpsClient('app.example.com')
started.defer(target.stop)
const chromium = await startChromium({ 'app.example.com:443': target.port })
started.defer(chromium.stop)
const stack = await startTestStack({ branding: { service_name: 'Example' } })
started.defer(stack.stop)
const app = await registerApp(await discover(stack.frontUrl), {
  name: 'Example Chat',
  redirectUri: 'https://app.example.com/callback',
  type: 'web',
})

for (const [size, viewport] of Object.entries(SIZES))
  for (const colorScheme of SCHEMES) {
    const visitor = await chromium.visitor({ viewport, colorScheme, deviceScaleFactor: 2 })
    await walk(visitor, app, target, `grace.${size}.${colorScheme}`, async (name) => {
      const path = join(directory, `${name}-${size}-${colorScheme}.png`)
      await visitor.page.screenshot({ path, fullPage: size === 'phone', animations: 'disabled' })
    })
    await visitor.close()
  }
console.log(`The pictures are in ${directory}.`)
