import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type axe from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** How long `beforeAll` may take, in milliseconds. */
export const CHROMIUM_START_MS = 180_000
/** How long a test waits for a page or an element: what takes two seconds takes ten times that on a busy machine. */
const PATIENCE_MS = 30_000

/**
 * The names under which Chromium is installed; CHROMIUM_PATH goes before them. The shell is the same engine without the
 * windows around the pages, which take a third of the time.
 */
const NAMES = [
  'chromium-headless-shell',
  'chromium',
  'chromium-browser',
  'google-chrome-stable',
  'google-chrome',
]

/** A real browser. */
export interface TestChromium {
  /** A person at a browser of their own: no cookies, English, nothing shared with the others. */
  visitor(options?: BrowserContextOptions): Promise<Visitor>
  /** A visit of such a person, whose browser is closed at its end. A failure says what the page showed. */
  visit(options: BrowserContextOptions, act: (visitor: Visitor) => Promise<void>): Promise<void>
  stop(): Promise<void>
}

export interface Visitor {
  page: Page
  /** Console errors, script errors and violations of the Content-Security-Policy on any page, as they came. */
  problems: string[]
  /** Addresses that the browser set out for, with those of private schemes, which it cannot open. */
  requests: string[]
  /** What axe finds against WCAG 2.2 AA on the page as it is: a line for each rule. */
  accessibilityProblems(): Promise<string[]>
  close(): Promise<void>
}

/**
 * Starts Chromium with a fresh profile. `hosts` says which `127.0.0.1` ports play which hosts, such as
 * `{ 'app.example.com:443': 40001 }`; every other name but localhost does not exist. Throws an Error with a sentence
 * for the person who runs the tests when there is no Chromium.
 */
export async function startChromium(hosts: Record<string, number> = {}): Promise<TestChromium> {
  const rules = Object.entries(hosts).map(([host, port]) => `MAP ${host} 127.0.0.1:${port}`)
  rules.push('MAP * ~NOTFOUND', 'EXCLUDE localhost', 'EXCLUDE 127.0.0.1', 'EXCLUDE ::1')
  const browser = await chromium.launch({
    executablePath: findChromium(),
    timeout: CHROMIUM_START_MS,
    args: [
      '--headless',
      // Tests may run as root, for whom Chromium has no sandbox.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--host-resolver-rules=${rules.join(',')}`,
    ],
  })
  return {
    visitor: (options) => newVisitor(browser, options),
    async visit(options, act) {
      const visitor = await newVisitor(browser, options)
      try {
        await explained(visitor, () => act(visitor))
      } finally {
        await visitor.close()
      }
    },
    stop: () => browser.close(),
  }
}

/** Does something with a page; the error of a failure says what the page showed, or nobody could tell why. */
export async function explained<T>(visitor: Visitor, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    const shown = await Promise.race([whatIsShown(visitor), Bun.sleep(5000)]).catch(() => undefined)
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`${message}\n${shown ?? `The page ${visitor.page.url()} did not say what it shows.`}`, {
      cause: error,
    })
  }
}

/** For a person who reads why a test failed: where the browser is, what stands there, what went wrong on the way. */
async function whatIsShown({ page, problems, requests }: Visitor): Promise<string> {
  const { marked, form } = await page.evaluate((marks) => {
    const text = (element: Element) => (element.textContent ?? '').replace(/\s+/g, ' ').trim()
    return {
      marked: [...document.querySelectorAll(marks)]
        .filter((element) => element.checkVisibility() && text(element))
        .map((element) => `  ${element.tagName.toLowerCase()}: ${text(element).slice(0, 300)}`),
      form: document.querySelector('form[data-sent]') ? ['  a form that was sent and not answered'] : [],
    }
  }, 'h1, h2, [role="alert"], [role="status"], [data-summary], .notice, .field-error')
  return [
    `The page shown: ${page.url()}`,
    ...marked,
    ...form,
    'Problems:',
    ...problems.map((problem) => `  ${problem}`),
    'Last requests:',
    ...requests.slice(-5).map((request) => `  ${request}`),
  ].join('\n')
}

/** The executable, or an Error that says how to get one. */
export function findChromium(environment: Record<string, string | undefined> = process.env): string {
  const path =
    environment.CHROMIUM_PATH ||
    NAMES.map((name) => Bun.which(name, { PATH: environment.PATH ?? '' })).find(Boolean)
  if (path) return path
  throw new Error(
    'These tests need the browser Chromium, and there is none here: install it (Debian: apt install chromium; elsewhere set CHROMIUM_PATH to the executable of a Chromium or Chrome), then run this again.',
  )
}

async function newVisitor(browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
  // The applications of the tests have certificates of their own.
  const context = await browser.newContext({ locale: 'en-GB', ignoreHTTPSErrors: true, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  const problems: string[] = []
  const requests: string[] = []
  await context.exposeBinding('reportViolation', ({ page }, text: string) => {
    problems.push(`${page.url()}: ${text}`)
  })
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      const { reportViolation } = globalThis as unknown as { reportViolation(text: string): void }
      reportViolation(`CSP ${event.effectiveDirective} blocked ${event.blockedURI}`)
    })
  })
  context.on('console', (message) => {
    if (message.type() === 'error') problems.push(`${message.page()?.url()}: ${message.text()}`)
  })
  context.on('weberror', (error) => problems.push(`${error.page()?.url()}: ${error.error()}`))
  context.on('request', (request) => requests.push(request.url()))
  const page = await context.newPage()
  return {
    page,
    problems,
    requests,
    accessibilityProblems: () => runAxe(page),
    close: () => context.close(),
  }
}

async function runAxe(page: Page): Promise<string[]> {
  // Evaluated by the debugger: a script element would be stopped by the policy that is under test.
  axeSource ??= await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
  await page.evaluate(axeSource)
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  const found = await page.evaluate(
    (values) => (globalThis as unknown as { axe: typeof axe }).axe.run(document, { runOnly: values }),
    tags,
  )
  return found.violations.map(
    ({ id, help, nodes }) =>
      `${new URL(page.url()).pathname}: ${id} (${help}): ${nodes.map((node) => node.target.join(' ')).join(', ')}`,
  )
}

let axeSource: string | undefined

export const PASSWORD = 'correct horse battery staple 42'

/** Fills in and sends both pages of a sign-up, from the page with the form. */
export async function signUp(page: Page, username: string, displayName: string): Promise<void> {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('Password again', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByLabel('Display name').fill(displayName)
  await page.getByRole('button', { name: 'Continue' }).click()
}

/** Fills in and sends the sign-in page. */
export async function signIn(page: Page, username: string): Promise<void> {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** Says yes on the consent page of the application called `client`. */
export async function consent(page: Page, client: string): Promise<void> {
  await page.getByRole('heading', { level: 1, name: `Continue to ${client}?` }).waitFor()
  // The browser may leave for an address that it cannot open, so what comes of it is for the caller to await.
  await page.getByRole('button', { name: 'Continue' }).click({ noWaitAfter: true })
}
