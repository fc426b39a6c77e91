/**
 * Latchkey behind poolers: `bun run poolers`. Goes through migrations, sign-up, the code flow, refresh (six at once in two
 * processes), introspection and jobs, directly and through PgBouncer in transaction mode, with and without prepared
 * statements. Needs `pgbouncer` (Debian: apt-get install pgbouncer) for all but the first; ways that the installed release
 * can not go are named. Ends with 1 when a way fails that should work.
 */
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSql } from '../../sql/connect.ts'
import { migrate } from '../../sql/migrate.ts'
import { findFreePort } from '../../src/commands/demo/ports.ts'
import { createTestDatabase, testCluster } from '../support/database.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, signedInApp } from '../support/oauth.ts'

interface Way {
  name: string
  /** PgBouncer's `max_prepared_statements`; none of it without. */
  bouncer?: { prepared: number }
  pooler?: 'transaction'
  /** That it can not work, which the configuration has to say. */
  fails?: true
}

const WAYS: Way[] = [
  { name: 'no pooler' },
  { name: 'no pooler, database.pooler: transaction', pooler: 'transaction' },
  {
    name: 'PgBouncer without prepared statements, database.pooler: transaction',
    bouncer: { prepared: 0 },
    pooler: 'transaction',
  },
  {
    name: 'PgBouncer without prepared statements, database.pooler left out',
    bouncer: { prepared: 0 },
    fails: true,
  },
  { name: 'PgBouncer with 100 prepared statements, database.pooler left out', bouncer: { prepared: 100 } },
  {
    name: 'PgBouncer with 100 prepared statements, database.pooler: transaction',
    bouncer: { prepared: 100 },
    pooler: 'transaction',
  },
]
const PROGRAM = Bun.which('pgbouncer', { PATH: `${process.env.PATH}:/usr/sbin` })
/** Prepared statements of the protocol in transaction mode came with this one. */
const PREPARES = [1, 21] as const

const found =
  PROGRAM &&
  /PgBouncer (\d+)\.(\d+)/.exec(await new Response(Bun.spawn([PROGRAM, '--version']).stdout).text())
const version = found ? ([Number(found[1]), Number(found[2])] as const) : undefined
const prepares = version !== undefined && (version[0] > PREPARES[0] || version[1] >= PREPARES[1])
console.log(
  version ? `PgBouncer ${version.join('.')}` : 'PgBouncer is not installed: apt-get install pgbouncer',
)

let failed = 0
const only = process.argv[2]
for (const way of WAYS.filter(({ name }) => only === undefined || name.includes(only))) {
  if (way.bouncer && (!version || (way.bouncer.prepared > 0 && !prepares))) {
    console.log(`skipped  ${way.name}: needs PgBouncer ${way.bouncer.prepared > 0 ? PREPARES.join('.') : ''}`)
    continue
  }
  const outcome = await walk(way).then(
    () => 'works',
    (error: unknown) => `fails (${error instanceof Error ? error.message.slice(0, 300) : error})`,
  )
  const right = outcome === 'works' ? !way.fails : way.fails === true
  if (!right) failed++
  console.log(
    `${right ? 'ok      ' : 'FAILED  '} ${way.name}: ${outcome}${way.fails ? ', as it has to' : ''}`,
  )
}
process.exit(failed === 0 ? 0 : 1)

/** Everything that one way has to let through. Throws at the first thing that does not work. */
async function walk(way: Way): Promise<void> {
  const bouncer = way.bouncer && (await startBouncer(way.bouncer.prepared))
  const through = (uri: string): string => {
    const url = new URL(uri)
    if (bouncer) url.port = String(bouncer.port)
    return url.href
  }
  const pooler = way.pooler ? { pooler: way.pooler } : {}
  try {
    const empty = await createTestDatabase({ migrated: false })
    const sql = createSql({ uri: through(empty.uri), ...pooler }, { max: 2 })
    const { applied } = await migrate(sql)
    expectThat('migrations', applied.length > 20 && (await migrate(sql)).applied.length === 0)
    await sql.end()
    await empty.drop()

    const options = { databaseUri: ({ uri }: { uri: string }) => through(uri), ...pooler }
    const harness = await createHarness(options)
    const second = await createHarness({ ...options, beside: harness })
    try {
      // As a server does before it listens.
      await Promise.all([harness, second].map(({ deps }) => deps.jobs.prepare()))
      await walkThrough(harness, second)
    } catch (error) {
      const [failure] = [...harness.logged, ...second.logged].filter(({ event }) =>
        ['outage', 'request.failed'].includes(event),
      )
      throw failure ? new Error(JSON.stringify(failure), { cause: error }) : error
    } finally {
      await second.close()
      await harness.close()
    }
  } finally {
    await bouncer?.stop()
  }
}

async function walkThrough(harness: Harness, second: Harness): Promise<void> {
  console.error('  migrated; signing up in two processes')
  const people = []
  for (const [index, name] of ['ada', 'bea', 'cleo'].entries())
    people.push(await signedInApp(index % 2 === 0 ? harness : second, name))
  for (const { tokens } of people)
    expectThat('introspection', (await introspect(second, tokens.access_token)).active === true)
  const [first] = people
  if (!first) throw new Error('nobody signed up')
  const { clientId, tokens } = first
  const answers = await Promise.all(
    [harness, second, harness, second, harness, second].map(async (process) => {
      const response = await process.form('/oauth2/token', {
        grant_type: 'refresh_token',
        client_id: clientId,
        refresh_token: tokens.refresh_token ?? '',
      })
      return ((await response.json()) as { refresh_token?: string }).refresh_token
    }),
  )
  expectThat('one successor of six refreshes', new Set(answers).size === 1 && answers[0] !== undefined)
  await harness.runJobs()
  const left = await harness.database.sql`
    select 1 from latchkey_jobs.job where state < 'completed' and name not like '\\_\\_%'`
  expectThat('jobs', left.length === 0)
  await harness.deps.activity.flush()
}

function expectThat(what: string, holds: boolean): void {
  if (!holds) throw new Error(`${what}: not as it has to be`)
}

/** PgBouncer before the test cluster, in transaction mode, with fewer connections than there are people. */
async function startBouncer(prepared: number): Promise<{ port: number; stop: () => Promise<void> }> {
  const cluster = await testCluster()
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-pooler-'))
  await chmod(folder, 0o755)
  const port = await findFreePort(0)
  const users = join(folder, 'users.txt')
  await writeFile(users, `"${cluster.user}" "${cluster.password}"\n`)
  const settings = [
    '[databases]',
    `* = host=127.0.0.1 port=${cluster.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${users}`,
    'pool_mode = transaction',
    'default_pool_size = 20',
    'max_client_conn = 200',
    ...(prepares ? [`max_prepared_statements = ${prepared}`] : []),
  ]
  await writeFile(join(folder, 'pgbouncer.ini'), `${settings.join('\n')}\n`)
  // It refuses to run as root.
  const asRoot = process.getuid?.() === 0
  if (!PROGRAM) throw new Error('PgBouncer is not installed.')
  const child = spawn(PROGRAM, ['-q', join(folder, 'pgbouncer.ini')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    ...(asRoot && { uid: 65_534, gid: 65_534 }),
  })
  for (let tries = 0; tries < 100; tries++) {
    const answers = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).then(
      (socket) => {
        socket.end()
        return true
      },
      () => false,
    )
    if (answers) break
    await Bun.sleep(50)
  }
  return {
    port,
    async stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
      await rm(folder, { recursive: true })
    },
  }
}
