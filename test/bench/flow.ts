import { createPasswords } from '../../src/crypto/passwords.ts'
import { base64url } from '../../src/lib/base64url.ts'
import { sha256 } from '../../src/lib/digest.ts'
import { createBrowser } from '../support/browser.ts'
import { seedPeople } from './seed.ts'
import type { Bench } from './setup.ts'
import { percentile, table } from './stats.ts'

const PASSWORD = 'correct horse battery staple 42'
export const REDIRECT_URI = 'https://app.example.com/callback'

/** Milliseconds of every request of a step, by its name, and of the flow as a whole. */
type FlowTimes = Map<string, number[]>

interface FlowOptions {
  port: number
  clientId: string
  /** Users who sign in, one flow each. */
  names: string[]
  /** Flows at once. */
  concurrency: number
  /** Whether the browser is signed in before the flow begins. */
  signedIn: boolean
}

/** Runs whole code flows in browsers without script, and times each request. */
async function codeFlows(options: FlowOptions): Promise<{ times: FlowTimes; seconds: number }> {
  const times: FlowTimes = new Map()
  const names = [...options.names]
  let seconds = 0
  const worker = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) await flow(options, name, times)
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: options.concurrency }, worker))
  seconds = (performance.now() - started) / 1000
  return { times, seconds }
}

async function flow(
  { port, clientId, signedIn }: FlowOptions,
  name: string,
  times: FlowTimes,
): Promise<void> {
  const origin = `http://127.0.0.1:${port}`
  let record = !signedIn
  const note = (step: string, milliseconds: number) => {
    if (!record) return
    const before = times.get(step)
    if (before) before.push(milliseconds)
    else times.set(step, [milliseconds])
  }
  const send = async (request: Request): Promise<Response> => {
    const started = performance.now()
    const response = await fetch(request, { redirect: 'manual' })
    const body = await response.text()
    note(stepOf(request), performance.now() - started)
    return new Response([204, 304].includes(response.status) ? null : body, response)
  }
  const browser = createBrowser(send, { origin })
  if (signedIn) {
    const login = await browser.open('/login')
    await login.submit({ username: name, password: PASSWORD }, { action: 'login' })
    record = true
  }
  const verifier = 'v'.repeat(43)
  const started = performance.now()
  let page = await browser.open(
    `/authorize?${new URLSearchParams({
      client_id: clientId,
      response_type: 'code',
      redirect_uri: REDIRECT_URI,
      scope: `openid urn:matrix:client:api:* urn:matrix:client:device:${name.toUpperCase()}0000`,
      state: 'a-state',
      code_challenge: base64url(sha256(verifier)),
      code_challenge_method: 'S256',
    })}`,
  )
  if (!signedIn) page = await page.submit({ username: name, password: PASSWORD }, { action: 'login' })
  const answer = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
  const code = answer.url.searchParams.get('code')
  if (!code) throw new Error(`No code at ${answer.url}: ${answer.text.slice(0, 1000)}`)
  const token = await send(
    new Request(`${origin}/oauth2/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: clientId,
        code,
        code_verifier: verifier,
        redirect_uri: REDIRECT_URI,
      }).toString(),
    }),
  )
  if (token.status !== 200) throw new Error(`The exchange answered ${token.status}: ${await token.text()}`)
  note('the whole flow', performance.now() - started)
}

/** `POST /consent/{id}`: the method and the path without its id. */
function stepOf(request: Request): string {
  const path = new URL(request.url).pathname.replace(/[0-9A-Z]{26}/g, '{id}')
  return `${request.method} ${path}`
}

/** Prints what a step of the code flow takes, with a password and in a signed-in browser. */
export async function measureFlows({ sql, port }: Bench, clientId: string): Promise<void> {
  const passwords = createPasswords({
    enabled: true,
    minimum_complexity: 3,
    schemes: [{ version: 1, algorithm: 'argon2id', unicode_normalization: false }],
  })
  const { hash } = await passwords.hash(PASSWORD)
  const names = await seedPeople(sql, 110, hash)
  await codeFlows({ port, clientId, names: names.slice(0, 10), concurrency: 2, signedIn: false })
  for (const [signedIn, chosen] of [
    [false, names.slice(10, 60)],
    [true, names.slice(60)],
  ] as const) {
    const { times, seconds } = await codeFlows({ port, clientId, names: chosen, concurrency: 4, signedIn })
    console.log(
      `\nthe code flow, ${signedIn ? 'in a signed-in browser' : 'with a password (argon2id)'}, 4 at once` +
        `${signedIn ? '' : `: ${(chosen.length / seconds).toFixed(1)} flows/s`}\n`,
    )
    const rows = [...times].map(([step, values]) => [
      step,
      String(values.length),
      percentile(values, 0.5).toFixed(1),
      percentile(values, 0.99).toFixed(1),
    ])
    console.log(table(['', 'requests', 'p50 ms', 'p99 ms'], rows))
  }
}
