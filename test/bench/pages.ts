import { createPasswords } from '../../src/crypto/passwords.ts'
import { type Browser, createBrowser } from '../support/browser.ts'
import { loadedBy, pageWeight } from '../support/page-weight.ts'
import { get } from './load.ts'
import { seedPeople } from './seed.ts'
import type { Bench } from './setup.ts'
import { percentile, table } from './stats.ts'
import { run, type Subject } from './subject.ts'

const PASSWORD = 'correct horse battery staple 42'
/** More than one page of the list has. */
const BROWSERS = 12

/** Pages of somebody who is signed in, and the two that most people see first. */
const PAGES = [
  '/account/',
  '/account/profile',
  '/account/emails',
  '/account/emails/add',
  '/account/password/change',
  '/account/sessions',
  '/account/sessions/end-others',
  '/account/apps',
  '/account/linked',
  '/account/tokens',
  '/account/tokens/new',
  '/account/security',
  '/account/data',
  '/account/deactivate',
  '/account/reset-cross-signing',
  '/login',
  '/register',
]

/**
 * What pages weigh with all that they load, and how long a person on loopback waits for them: one request at a time, in
 * turn with the select that everything else is compared with.
 */
export async function measurePages(
  { sql, port, baselinePort }: Bench,
  { pid, rounds }: { pid: number; rounds: number },
): Promise<void> {
  const passwords = createPasswords({
    enabled: true,
    minimum_complexity: 3,
    schemes: [{ version: 1, algorithm: 'argon2id', unicode_normalization: false }],
  })
  const { hash } = await passwords.hash(PASSWORD)
  const [name = ''] = await seedPeople(sql, 1, hash, 'reader')
  const [user] = await sql<{ id: string }[]>`select id from latchkey.users where username = ${name}`
  const origin = `http://127.0.0.1:${port}`
  let browser = await signIn(origin, name)
  for (let more = 1; more < BROWSERS; more++) browser = await signIn(origin, name)
  const cookie = [...browser.cookies].map(([key, value]) => `${key}=${value}`).join('; ')

  const select: Subject = {
    name: 'baseline: select',
    requests: 100,
    port: baselinePort,
    next: () => get(`/select/${user?.id}`),
    rounds: [],
  }
  const pages = PAGES.map((path): Subject => {
    const headers = path.startsWith('/account/') ? `cookie: ${cookie}\r\n` : ''
    return { name: path, requests: 30, port, next: () => get(path, headers), rounds: [] }
  })
  for (const warm of [select, ...pages]) await run({ ...warm, rounds: [] }, pid, 1)
  for (let round = 0; round < rounds; round++) for (const each of [select, ...pages]) await run(each, pid, 1)

  const rows: string[][] = []
  for (const { name: path, rounds: found } of [select, ...pages]) {
    const latencies = found.flatMap((round) => round.latencies)
    const weight = path.startsWith('/') ? await weigh(browser, origin, path) : undefined
    rows.push([
      path,
      percentile(latencies, 0.5).toFixed(1),
      percentile(latencies, 0.99).toFixed(1),
      (sum(found.map(({ cpu }) => cpu ?? Number.NaN)) / sum(found.map(({ requests }) => requests))).toFixed(
        1,
      ),
      weight ? (weight.bytes / 1000).toFixed(1) : '',
      weight ? String(weight.foreign.length) : '',
    ])
  }
  console.log(
    `\npages, one request at a time, ${rounds} interleaved rounds; to reach: p50 15 ms, 60 kB, no third party\n`,
  )
  console.log(table(['', 'p50 ms', 'p99 ms', 'CPU ms', 'kB with all', 'third parties'], rows))
}

async function signIn(origin: string, username: string): Promise<Browser> {
  const browser = createBrowser((request) => fetch(request, { redirect: 'manual' }), { origin })
  const login = await browser.open('/login')
  const page = await login.submit({ username, password: PASSWORD }, { action: 'login' })
  if (page.status !== 200) throw new Error(`The sign-in answered ${page.status}: ${page.text.slice(0, 500)}`)
  return browser
}

/** The page with everything that it loads, as it comes over the wire without compression. */
async function weigh(browser: Browser, origin: string, path: string) {
  const page = await browser.open(path)
  const files = new Map<string, Uint8Array>()
  for (const address of loadedBy(page.text)) {
    if (!address.startsWith('/')) continue
    const response = await fetch(origin + address)
    if (!response.ok) throw new Error(`${path} loads ${address}: ${response.status}`)
    files.set(address, await response.bytes())
  }
  return pageWeight(page.text, (address) => files.get(address))
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
