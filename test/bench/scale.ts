/** `bun run bench:scale`: ten million tokens and a million people, beside ten thousand of each. See README.md. */
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { createSql } from '../../sql/connect.ts'
import { migrate } from '../../sql/migrate.ts'
import { createPasswords } from '../../src/crypto/passwords.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { createDeployment, type Deployment, type Latchkey, SECRET } from '../fault/deployment.ts'
import { asAdmin, createDatabase, createPostgres } from '../fault/postgres.ts'
import { PASSWORD } from '../support/oauth.ts'
import { formPost, jsonPost, type LoadResult, load } from './load.ts'
import { cpuTime } from './process-figures.ts'
import { KNOWN, nameOf, SEEDING, type Size, seedSize } from './scale-seed.ts'
import { seededToken } from './seed.ts'
import { median, percentile, spread, table } from './stats.ts'

const { values: options } = parseArgs({
  options: {
    tokens: { type: 'string', default: '10000000' },
    users: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '9' },
    connections: { type: 'string', default: '16' },
    /** Where the databases stay; those that are there with what is asked for are used. */
    keep: { type: 'string' },
    /** Ends when they are filled. */
    'only-seed': { type: 'boolean', default: false },
  },
})
const connections = Number(options.connections)
/** Requests of a round of refreshes. */
const REFRESHES = 1000
const LARGE: Size = { tokens: Number(options.tokens), users: Number(options.users), perSession: 4 }
const SMALL: Size = { tokens: KNOWN, users: 10_000, perSession: 1 }
/** What a request may lose at the large size. */
const LOSS = 0.2

/** A cheap hash: what is compared is the way to it. */
const SCHEMES = { schemes: [{ version: 1, algorithm: 'bcrypt' as const, cost: 4 }] }

/** A server on a database of some size. */
interface Side {
  name: string
  deployment: Deployment
  server: Latchkey
  size: Size
  kept: Kept
}

const postgres = await createPostgres(options.keep && resolve(options.keep))
const deployments: Deployment[] = []
const begin = (deployment: Deployment, workers?: number) =>
  deployment.begin({
    connections: 10,
    ...(workers !== undefined && { workers }),
    config: {
      matrix: { kind: 'standalone', homeserver: 'example.test', secret: SECRET },
      passwords: SCHEMES,
    },
  })

/** What a kept database has, and how many of its refresh tokens were used by earlier runs. */
interface Kept {
  tokens: number
  users: number
  refreshed: number
}

async function findKept(name: string, size: Size): Promise<Kept | undefined> {
  const [row] = await asAdmin(
    postgres,
    (sql) => sql<{ note: string | null }[]>`
      select shobj_description(oid, 'pg_database') as note from pg_database where datname = ${name}`,
  )
  const kept = row?.note ? (JSON.parse(row.note) as Kept) : undefined
  return kept?.tokens === size.tokens && kept.users === size.users ? kept : undefined
}

const note = (name: string, kept: Kept) =>
  asAdmin(postgres, (sql) => sql.unsafe(`comment on database "${name}" is '${JSON.stringify(kept)}'`))

/** A deployment on a database that an earlier run has filled. */
async function takeKept(name: string): Promise<Deployment> {
  const deployment = await createDeployment(postgres.uri(name), { migrated: false })
  // There may be migrations since it was filled.
  const sql = createSql({ uri: deployment.uri }, { max: 2, stallTimeout: null })
  await migrate(sql)
  await sql.end()
  const [client] = await deployment.sql<{ id: string }[]>`
    select id from latchkey.clients where metadata ->> 'client_name' = 'Bench'`
  if (!client) throw new Error(`The database ${name} has no client.`)
  deployment.client = { id: client.id, clientId: ulidFromUuid(client.id) }
  return deployment
}

async function prepare(name: string, size: Size): Promise<Side> {
  const begun = performance.now()
  const kept = await findKept(name, size)
  if (kept) {
    const deployment = await takeKept(name)
    deployments.push(deployment)
    if (kept.refreshed + perRun() > KNOWN / 2)
      throw new Error(
        `${kept.refreshed} of ${KNOWN / 2} refresh tokens of ${name} are used up: fewer --rounds, or another --keep.`,
      )
    chains.set(deployment, { latest: new Map(), next: KNOWN / 2 + kept.refreshed })
    console.log(`${size.tokens} tokens, ${size.users} users: as they were kept`)
    return { name, deployment, server: await begin(deployment), size, kept }
  }
  const deployment = await createDeployment(await createDatabase(postgres, name))
  deployments.push(deployment)
  const passwords = createPasswords({
    enabled: true,
    minimum_complexity: 3,
    schemes: [{ ...SCHEMES.schemes[0], version: 1, algorithm: 'bcrypt', unicode_normalization: false }],
  })
  // Statements of minutes, in which the server is silent.
  const sql = createSql({ uri: deployment.uri }, { max: 1, stallTimeout: null })
  await seedSize(sql, deployment.client.id, size, (await passwords.hash(PASSWORD)).hash)
  await sql.end()
  const [row] = await deployment.sql<
    { size: string }[]
  >`select pg_size_pretty(pg_database_size(current_database())) as size`
  console.log(
    `${size.tokens} tokens, ${size.users} users: ${row?.size}, made in ${((performance.now() - begun) / 1000).toFixed(0)} s`,
  )
  const fresh = { tokens: size.tokens, users: size.users, refreshed: 0 }
  await note(name, fresh)
  return { name, deployment, server: await begin(deployment), size, kept: fresh }
}

interface Kind {
  name: string
  requests: number
  next(side: Side): (connection: number) => string
  answered?(side: Side): (connection: number, body: string) => void
}

/** Latest refresh tokens of the connections, and sessions whose first one is still to come, by database. */
const chains = new Map<Deployment, { latest: Map<number, string>; next: number }>()
const chainOf = ({ deployment }: Side) => {
  const known = chains.get(deployment) ?? { latest: new Map<number, string>(), next: KNOWN / 2 }
  chains.set(deployment, known)
  return known
}
/** Refresh tokens that a run begins with at most: every fourth request of a warm-up and of the rounds. */
const perRun = () => (REFRESHES / 4 + connections) * (Number(options.rounds) + 1)
let turn = 0

const KINDS: readonly Kind[] = [
  {
    name: 'introspection',
    requests: 4000,
    next() {
      const headers = `authorization: Bearer ${SECRET}\r\nx-mas-supports-device-id: 1\r\n`
      const texts = Array.from({ length: KNOWN / 2 }, (_, index) =>
        formPost('/oauth2/introspect', `token=${seededToken('mat', index)}`, headers),
      )
      // From all over the table: a step that shares no factor with their number.
      return () => texts[(turn++ * 2797) % texts.length] ?? ''
    },
  },
  {
    name: 'refresh',
    requests: REFRESHES,
    next(side) {
      const chain = chainOf(side)
      return (connection) => {
        // Another session every few refreshes: those of a chain are warm.
        const fresh = turn++ % 4 === 0 ? undefined : chain.latest.get(connection)
        const token = fresh ?? seededToken('mar', KNOWN / 2 + (chain.next++ % (KNOWN / 2)))
        return formPost(
          '/oauth2/token',
          `grant_type=refresh_token&client_id=${side.deployment.client.clientId}&refresh_token=${token}`,
        )
      }
    },
    answered: (side) => (connection, body) =>
      void chainOf(side).latest.set(
        connection,
        (JSON.parse(body) as { refresh_token: string }).refresh_token,
      ),
  },
  {
    name: 'sign-in',
    requests: 400,
    next:
      ({ size }) =>
      () =>
        jsonPost(
          '/_matrix/client/v3/login',
          JSON.stringify({
            type: 'm.login.password',
            identifier: { type: 'm.id.user', user: nameOf((turn++ * 7919) % size.users) },
            password: PASSWORD,
            refresh_token: true,
          }),
        ),
  },
]

/** What a load found, and the milliseconds of CPU that Latchkey and PostgreSQL took for it: they depend on no other work. */
type Measured = LoadResult & { cpu: number }

async function measure(kind: Kind, side: Side): Promise<Measured> {
  const answered = kind.answered?.(side)
  const before = await cpu(side)
  const result = await load({
    port: side.server.port,
    connections,
    requests: kind.requests,
    next: kind.next(side),
    ...(answered && { answered }),
  })
  return { ...result, cpu: (await cpu(side)) - before }
}

/** Processes that begin or end meanwhile are few: connections are kept. */
async function cpu({ server }: Side): Promise<number> {
  const times = await Promise.all([server.pid, ...(await postgres.pids())].map(cpuTime))
  return times.reduce<number>((sum, time) => sum + (time ?? 0), 0)
}
const cost = (found: Measured): number => (found.cpu * 1000) / found.requests
const speed = ({ requests, seconds }: LoadResult): number => requests / seconds

/** Rounds of both in turn; gives a line of the table, and the ratio of neighbours. */
async function compare(kind: Kind, base: Side, other: Side): Promise<{ line: string[]; ratio: number }> {
  const found: [Measured, Measured][] = []
  for (const side of [base, other]) await measure(kind, side)
  for (let round = 0; round < Number(options.rounds); round++) {
    // First one, then the other: what else the machine does is spread over both.
    const order = round % 2 === 0 ? [base, other] : [other, base]
    const [first, second] = [await measure(kind, order[0] ?? base), await measure(kind, order[1] ?? other)]
    found.push(round % 2 === 0 ? [first, second] : [second, first])
  }
  const ratios = found.map(([first, second]) => speed(second) / speed(first))
  const cells = (at: 0 | 1) => [
    spread(
      found.map((pair) => speed(pair[at])),
      0,
    ),
    percentile(
      found.flatMap((pair) => pair[at].latencies),
      0.5,
    ).toFixed(2),
    median(found.map((pair) => cost(pair[at]))).toFixed(0),
  ]
  const costs = found.map(([first, second]) => cost(second) / cost(first))
  return { line: [kind.name, ...cells(0), ...cells(1), spread(ratios), spread(costs)], ratio: median(ratios) }
}

let slow = 0
try {
  await postgres.start(SEEDING)
  const small = await prepare('small', SMALL)
  const large = await prepare('large', LARGE)
  for (const { server } of [small, large]) server.kill('SIGKILL')
  if (options['only-seed']) {
    await postgres.end('SIGINT')
    process.exit(0)
  }
  // As an installation has it.
  await postgres.end('SIGINT')
  await postgres.start()
  for (const side of [small, large]) side.server = await begin(side.deployment)

  const lines: string[][] = []
  for (const kind of KINDS) {
    const { line, ratio } = await compare(kind, small, large)
    lines.push(line)
    if (ratio < 1 - LOSS) slow++
  }
  const heading = (first: string, second: string) => [
    '',
    ...[first, second].flatMap((name) => [`${name}: requests/s`, 'p50 ms', 'CPU µs']),
    'ratio of requests/s',
    'of CPU',
  ]
  console.log(`\n${table(heading(`${SMALL.tokens}`, `${LARGE.tokens}`), lines)}\n`)
  for (const side of [small, large])
    await note(side.name, { ...side.kept, refreshed: chainOf(side).next - KNOWN / 2 })
  const two: Side = { ...large, server: await begin(large.deployment, 2) }
  const workers = await compare(KINDS[0] as Kind, large, two)
  // The process that was started only watches the others: its CPU says nothing.
  console.log(
    `${table(heading('one process', '--workers 2').slice(0, 8), [workers.line.slice(0, 8)])}\n${availableParallelism()} cores, shared with PostgreSQL and the load`,
  )
} finally {
  for (const deployment of deployments) await deployment.close()
  // A kept one must not have to recover at the next start.
  await postgres.end('SIGINT')
  await postgres.remove()
}
process.exit(slow === 0 ? 0 : 1)
