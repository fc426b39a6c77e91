import type { Sql } from '../../sql/connect.ts'
import { seededToken, seedSessions } from '../bench/seed.ts'
import { type Latchkey, SECRET } from './deployment.ts'

/** What a client met. */
export interface Answer {
  /** 0: the connection broke, or nobody listened. */
  status: number
  retryAfter: string | null
  body: Record<string, unknown>
}

/** Posts a form to one process. Nothing is tried again here: a lost answer is one. */
export async function post(
  { port }: Pick<Latchkey, 'port'>,
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(fields).toString(),
      // Bun would send a request again on a new connection when a kept one turns out to be closed.
      keepalive: false,
      signal: AbortSignal.timeout(30_000),
    })
    const text = await response.text()
    return { status: response.status, retryAfter: response.headers.get('retry-after'), body: parse(text) }
  } catch (error) {
    return { status: 0, retryAfter: null, body: { error: String(error) } }
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return { text: text.slice(0, 300) }
  }
}

export const presentRefresh = (to: Pick<Latchkey, 'port'>, clientId: string, token: string) =>
  post(to, '/oauth2/token', { grant_type: 'refresh_token', client_id: clientId, refresh_token: token })

export const introspect = (to: Pick<Latchkey, 'port'>, token: string) =>
  post(to, '/oauth2/introspect', { token }, { authorization: `Bearer ${SECRET}` })

/** Answers by what was asked and how it was answered, and those that no outage may give. */
export interface Tally {
  count(kind: string, answer: Answer): void
  /** `refresh 200: 812, refresh 503: 14`. */
  text(): string
  requests(): number
  /** Answers with this status. */
  of(status: number): number
  /** 4xx, 500, and 503 without Retry-After, in words. */
  wrong: string[]
  /** How connections broke. */
  broken: string[]
}

export function createTally(): Tally {
  const counts = new Map<string, number>()
  const wrong: string[] = []
  const broken: string[] = []
  return {
    wrong,
    broken,
    count(kind, answer) {
      const name = `${kind} ${answer.status === 0 ? 'broken' : answer.status}`
      counts.set(name, (counts.get(name) ?? 0) + 1)
      const { status, retryAfter } = answer
      if (status === 0) broken.push(`${name}: ${answer.body.error}`)
      const bad = (status >= 300 && status !== 503) || (status === 503 && retryAfter === null)
      if (bad) wrong.push(`${name} ${JSON.stringify(answer.body).slice(0, 200)}`)
    },
    text: () =>
      [...counts]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, count]) => `${name}: ${count}`)
        .join(', '),
    requests: () => [...counts.values()].reduce((sum, count) => sum + count, 0),
    of: (status) =>
      [...counts].reduce((sum, [name, count]) => sum + (name.endsWith(` ${status}`) ? count : 0), 0),
  }
}

/** An app that is signed in: what it holds, as it got it. */
export interface App {
  access: string
  refresh: string
}

let seeded = 0

/** Signs `count` apps in, past the pages. */
export async function seedApps(sql: Sql, clientId: string, count: number): Promise<App[]> {
  const from = seeded
  seeded += count
  await seedSessions(sql, { clientId, from, to: seeded, used: false })
  return Array.from({ length: count }, (_, index) => ({
    access: seededToken('mat', from + index),
    refresh: seededToken('mar', from + index),
  }))
}

/** Apps that refresh and are asked about all the time, at whichever process answers. */
export interface Load {
  tally: Tally
  /** Apps whose token was told to be bad: they are signed out. */
  signedOut: string[]
  /** Ends the load. */
  stop(): Promise<void>
}

/** Milliseconds between two steps of one app. */
const PACE = 40

/**
 * Begins the load. An app behaves as a good one does: it refreshes, and tries the same token again until it is answered;
 * the homeserver asks about what it got. `processes` is asked each time; the load goes around among them. `expiring`: an
 * access token may run out at any time, and the app refreshes.
 */
export function beginLoad(
  processes: () => readonly Latchkey[],
  clientId: string,
  apps: App[],
  { expiring = false }: { expiring?: boolean } = {},
): Load {
  const tally = createTally()
  const signedOut: string[] = []
  let stopping = false
  let turn = 0
  const next = (): Pick<Latchkey, 'port'> => {
    const all = processes()
    return all[turn++ % all.length] ?? { port: 1 }
  }
  const live = async (app: App) => {
    // A refresh that was not answered may have replaced the access token; the next refresh says by what.
    let sure = true
    while (!stopping) {
      const asked = await introspect(next(), app.access)
      tally.count('introspection', asked)
      if (sure && !expiring && asked.status === 200 && asked.body.active !== true)
        return void signedOut.push('inactive')
      const answer = await presentRefresh(next(), clientId, app.refresh)
      tally.count('refresh', answer)
      sure = answer.status === 200
      if (sure) take(app, answer)
      else if (answer.status >= 400 && answer.status < 500)
        return void signedOut.push(String(answer.body.error))
      await Bun.sleep(answer.status === 200 ? PACE : 3 * PACE)
    }
  }
  const lives = apps.map(live)
  return {
    tally,
    signedOut,
    async stop() {
      stopping = true
      await Promise.all(lives)
    },
  }
}

export function take(app: App, { body }: Answer): void {
  app.access = String(body.access_token)
  app.refresh = String(body.refresh_token)
}

/** Asks for each app whether it still works, with patience: gives what is wrong with those that do not. */
export async function stillSignedIn(
  process: Latchkey,
  clientId: string,
  apps: readonly App[],
): Promise<string[]> {
  const wrong: string[] = []
  for (const app of apps) {
    const answer = await patiently(() => presentRefresh(process, clientId, app.refresh))
    if (answer.status !== 200) {
      wrong.push(`refresh ${answer.status} ${JSON.stringify(answer.body)}`)
      continue
    }
    take(app, answer)
    const { status, body } = await patiently(() => introspect(process, app.access))
    if (body.active !== true) wrong.push(`introspection ${status} ${JSON.stringify(body)}`)
  }
  return wrong
}

/** Asks again while the answer is to come back later, for at most `seconds`. */
export async function patiently(ask: () => Promise<Answer>, seconds = 30): Promise<Answer> {
  for (let tries = 0; ; tries++) {
    const answer = await ask()
    const passing = answer.status === 0 || answer.status === 503
    if (!passing || tries > seconds * 4) return answer
    await Bun.sleep(250)
  }
}

/** Waits until `condition` holds; gives how many seconds that took, undefined after `limit` of them. */
export async function waitFor(
  limit: number,
  condition: () => Promise<boolean> | boolean,
): Promise<number | undefined> {
  const begun = performance.now()
  for (;;) {
    if (await condition()) return (performance.now() - begun) / 1000
    if (performance.now() - begun > limit * 1000) return undefined
    await Bun.sleep(50)
  }
}
