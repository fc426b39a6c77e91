/** `bun run consoles --element-admin DIST --ketesa DIST`: consoles that others made, on a deployment. See test/README.md. */
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { explained, startChromium, type Visitor } from '../support/chromium.ts'
import { ANYBODY, deploy, WELL_KNOWN } from './deployment.ts'
import { type Drive, SERVER_NAME } from './drive.ts'
import { driveElementAdmin } from './element-admin.ts'
import { driveKetesa } from './ketesa.ts'

const CONSOLES: Record<string, Drive> = { 'element-admin': driveElementAdmin, ketesa: driveKetesa }

const { values: options } = parseArgs({
  options: Object.fromEntries(Object.keys(CONSOLES).map((name) => [name, { type: 'string' as const }])),
})

/** What a console asks of Latchkey, in words: identifiers do not matter. */
const callOf = (method: string, { pathname, search }: URL, status: number): string =>
  `${method} ${pathname.replace(/01[0-9A-Z]{24}/g, '{id}')}${decodeURIComponent(search).replace(/01[0-9A-Z]{24}/g, '{id}')} ${status}`

/** Drives a console that was built into the folder `dist`; gives what it called. @throws Error where it did not work */
async function drive(dist: string, act: Drive): Promise<Set<string>> {
  await using closing = new AsyncDisposableStack()
  const deployment = await deploy(dist)
  closing.defer(deployment.stop)
  const chromium = await startChromium(deployment.hosts)
  closing.defer(chromium.stop)
  const visitor = await chromium.visitor({ viewport: { width: 1400, height: 1000 } })
  const calls = new Set<string>()
  const { page } = visitor
  page.context().setDefaultTimeout(60_000)
  await page
    .context()
    .route(`https://${SERVER_NAME}/.well-known/matrix/client`, (route) =>
      route.fulfill({ json: WELL_KNOWN, ...ANYBODY }),
    )
  page.context().on('response', (response) => {
    const url = new URL(response.url())
    if (url.origin === deployment.latchkeyUrl && /^\/(api|oauth2)\//.test(url.pathname))
      calls.add(callOf(response.request().method(), url, response.status()))
  })
  await explained(visitor, () => act({ page, called: caller(page) }))
  const refused = [...calls].filter((call) => !/ 2\d\d$/.test(call))
  if (refused.length > 0) throw new Error(`Refused: ${refused.join(', ')}`)
  const faults = faultsOf(visitor)
  if (faults.length > 0) throw new Error(`The browser complained: ${faults.join('\n')}`)
  return calls
}

const caller =
  (page: Page): Parameters<Drive>[0]['called'] =>
  async (method, address, act) => {
    const wanted = page.waitForResponse(
      (response) => response.request().method() === method && address.test(response.url()),
    )
    const [response] = await Promise.all([wanted, act()])
    if (!response.ok()) throw new Error(`${method} ${response.url()}: ${response.status()}`)
  }

/** What concerns us of the browser's complaints: our pages and our answers. */
const faultsOf = ({ problems }: Visitor): string[] =>
  problems.filter((line) => /CORS|CSP|\/api\/|\/oauth2\//.test(line))

const wanted = Object.entries(CONSOLES).filter(([name]) => options[name] !== undefined)
if (wanted.length === 0) {
  console.error('Name a console that was built: --element-admin DIST, --ketesa DIST')
  process.exit(2)
}
let failed = 0
for (const [name, act] of wanted) {
  try {
    const calls = await drive(options[name] ?? '', act)
    console.log(
      `${name}: works. It called:\n${[...calls]
        .sort()
        .map((call) => `  ${call}`)
        .join('\n')}`,
    )
  } catch (error) {
    failed++
    console.error(`${name}: ${error instanceof Error ? error.message : error}`)
  }
}
process.exit(failed === 0 ? 0 : 1)
