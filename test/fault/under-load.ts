import { type BeginOptions, createDeployment, type Deployment, type Latchkey } from './deployment.ts'
import { beginLoad, introspect, type Load, seedApps, stillSignedIn, waitFor } from './load.ts'
import { createDatabase, createPostgres, type Postgres } from './postgres.ts'
import type { Report } from './report.ts'

/** Apps of a load. */
const APPS = 12
/** Seconds after which a service must have found back by itself. */
const RECOVERY = 15

/** A deployment with two servers under load. */
export interface Scene {
  deployment: Deployment
  postgres: Postgres
  servers: Latchkey[]
  load: Load
}

export interface SceneOptions {
  /** In place of a new one, which is removed at the end. */
  postgres?: Postgres
  /** The address of a database by its name, where it is not that of `postgres`. */
  addressOf?(name: string): string
  /** The way of the servers, where it is another one. */
  way?: string
  server?: BeginOptions
  /** Access tokens may run out. */
  expiring?: boolean
}

/** Sets the scene, lets `trouble` happen in it, and checks what every outage has in common. */
export async function underLoad(
  report: Report,
  name: string,
  trouble: (scene: Scene) => Promise<void>,
  options: SceneOptions = {},
): Promise<void> {
  const postgres = options.postgres ?? (await createPostgres())
  if (!postgres.runs()) await postgres.start()
  await createDatabase(postgres, name)
  const deployment = await createDeployment((options.addressOf ?? postgres.uri)(name))
  try {
    const begun = { ...options.server, uri: options.way ?? deployment.uri }
    const servers = [await deployment.begin(begun), await deployment.begin({ ...begun, worker: true })]
    const apps = await seedApps(deployment.sql, deployment.client.id, APPS)
    const load = beginLoad(() => servers, deployment.client.clientId, apps, options)
    await Bun.sleep(1500)
    await trouble({ deployment, postgres, servers, load })
    const app = apps[0] ?? { access: '', refresh: '' }
    const took = await waitFor(RECOVERY, async () => {
      const answers = await Promise.all(servers.map((server) => introspect(server, app.access)))
      return answers.every(({ status }) => status === 200)
    })
    report.check(
      `the service finds back by itself within ${RECOVERY} s`,
      took !== undefined,
      took === undefined ? 'not at all' : `${took.toFixed(1)} s`,
    )
    await Bun.sleep(1000)
    await load.stop()
    const { tally } = load
    report.check(
      'no answer is 4xx, 500, or 503 without Retry-After',
      tally.wrong.length === 0,
      said(tally.wrong, tally.text()),
    )
    // A reference says nothing without the line that it stands for.
    if (tally.wrong.length > 0)
      for (const line of servers
        .flatMap((one) => one.said().split('\n'))
        .filter((text) => /"reference"/.test(text))
        .slice(0, 5))
        console.log(`  ${line.slice(0, 1500)}`)
    report.check(
      'no connection to the service breaks',
      tally.broken.length === 0,
      said(tally.broken, `${tally.requests()} requests`),
    )
    const [server] = servers
    const wrong = server ? await stillSignedIn(server, deployment.client.clientId, apps) : ['no server']
    report.check(
      'nobody is signed out: the last refresh token of every app works',
      wrong.length === 0 && load.signedOut.length === 0,
      said([...wrong, ...load.signedOut], `${apps.length} apps`),
    )
    const live = await liveTokens(deployment)
    report.check(
      'no token is doubled: every session has one live refresh token',
      live === 0,
      `${live} sessions have another number`,
    )
    report.check(
      'every server lives',
      servers.every((one) => one.alive()),
    )
  } finally {
    await deployment.close()
    if (!options.postgres) await postgres.remove()
  }
}

/** The first of what is wrong, else how it was. */
export const said = (wrong: readonly string[], fine: string): string =>
  wrong.length === 0 ? fine : `${wrong.length}, such as: ${wrong.slice(0, 2).join(' | ')}`

async function liveTokens({ sql }: Deployment): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from (
      select s.id from latchkey.oauth_sessions s left join latchkey.tokens t on t.session_id = s.id and t.consumed_at is null
      where s.finished_at is null group by s.id having count(t.id) <> 1) odd`
  return row?.count ?? -1
}
