import { createPasswords } from '../../src/crypto/passwords.ts'
import { formPost, get, jsonPost } from './load.ts'
import { seedPeople } from './seed.ts'
import type { Bench } from './setup.ts'
import { percentile, table } from './stats.ts'
import { HEADINGS, ratios, row, run, type Subject } from './subject.ts'

const PASSWORD = 'correct horse battery staple 42'
const PEOPLE = 60
/** Logins of one round: each takes a hash, and two cores have no more than 40 a second. */
const LOGINS = 60
/** Connections that log in at once. More would measure how long they wait for one another. */
const AT_ONCE = 4
const ROUNDS = 5
/** Tries of each kind, one after the other. */
const TRIES = 60

const loginPath = '/_matrix/client/v3/login'
const loginBody = (user: string, password: string): string =>
  JSON.stringify({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
    refresh_token: true,
  })

/** The login API of older clients beside its baselines: a login costs a hash, a refresh a write. */
export async function measureLegacy(
  { sql, port, baselinePort }: Bench,
  { pid, connections }: { pid: number; connections: number },
): Promise<void> {
  const passwords = createPasswords({
    enabled: true,
    minimum_complexity: 3,
    schemes: [{ version: 1, algorithm: 'argon2id', unicode_normalization: false }],
  })
  const names = await seedPeople(sql, PEOPLE, (await passwords.hash(PASSWORD)).hash, 'older')
  const subject = (part: Omit<Subject, 'rounds'>): Subject => ({ ...part, rounds: [] })
  const tokens: string[] = []
  let turn = 0
  const hash = subject({
    name: 'baseline: hash',
    requests: LOGINS,
    port: baselinePort,
    next: () => get('/hash'),
  })
  const login = subject({
    name: 'legacy login',
    requests: LOGINS,
    port,
    next: () => jsonPost(loginPath, loginBody(names[turn++ % names.length] ?? '', PASSWORD)),
    answered: (_connection, body) =>
      tokens.push((JSON.parse(body) as { refresh_token: string }).refresh_token),
  })
  // Until the compiler has done its work, a login costs twice as much besides its hash.
  for (const warm of [hash, login]) await run({ ...warm, requests: 5 * LOGINS, rounds: [] }, pid, AT_ONCE)
  for (let round = 0; round < ROUNDS; round++) for (const each of [hash, login]) await run(each, pid, AT_ONCE)

  // The tables were empty when the statements were planned; autovacuum would find out a minute later.
  await sql`analyze`
  const latest = new Map<number, string>()
  const insert = subject({
    name: 'baseline: insert',
    requests: 2000,
    port: baselinePort,
    next: () => formPost('/insert', ''),
  })
  const refresh = subject({
    name: 'legacy refresh',
    requests: 2000,
    port,
    next(connection) {
      const token = latest.get(connection) ?? tokens.pop() ?? ''
      return jsonPost('/_matrix/client/v3/refresh', JSON.stringify({ refresh_token: token }))
    },
    answered(connection, body) {
      latest.set(connection, (JSON.parse(body) as { refresh_token: string }).refresh_token)
    },
  })
  for (const warm of [insert, refresh]) await run({ ...warm, rounds: [] }, pid, connections)
  for (let round = 0; round < ROUNDS; round++)
    for (const each of [insert, refresh]) await run(each, pid, connections)

  console.log(`\nthe login API: ${AT_ONCE} logins and ${connections} refreshes at once, ${ROUNDS} rounds\n`)
  console.log(table(HEADINGS, [hash, login, insert, refresh].map(row)))
  console.log(`\nlegacy login / hash: ${ratios(login, hash)}, to reach 0.85`)
  console.log(`legacy refresh / insert: ${ratios(refresh, insert)}`)
  await printFailures(port, sql, names)
}

/**
 * How long refusals take, in turn, one at a time: whoever measures them must not learn which names there are or which
 * are locked.
 */
async function printFailures(port: number, sql: Bench['sql'], names: string[]): Promise<void> {
  const [locked = '', known = ''] = names
  await sql`update latchkey.users set locked_at = now() where username = ${locked}`
  const kinds: [string, string][] = [
    ['an unknown user', 'nobody-of-this-name'],
    ['a wrong password', known],
    ['a locked user, a wrong password', locked],
  ]
  const times = new Map<string, number[]>(kinds.map(([kind]) => [kind, []]))
  const bodies = new Set<string>()
  for (let round = 0; round < TRIES; round++)
    for (const [kind, user] of kinds) {
      const started = performance.now()
      const response = await fetch(`http://127.0.0.1:${port}${loginPath}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: loginBody(user, `wrong ${round}`),
      })
      bodies.add(`${response.status} ${await response.text()}`)
      times.get(kind)?.push(performance.now() - started)
    }
  console.log(
    `\nrefused logins, one at a time: ${bodies.size === 1 ? 'all with' : 'NOT all with'} the same answer\n`,
  )
  const at = (values: number[], fraction: number) => percentile(values, fraction).toFixed(1)
  const rows = [...times].map(([kind, values]) => [
    kind,
    ...[0.1, 0.25, 0.5, 0.75, 0.9].map((f) => at(values, f)),
  ])
  console.log(table(['ms', 'p10', 'p25', 'p50', 'p75', 'p90'], rows))
}
