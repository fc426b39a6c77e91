import { createSql, type Sql } from '../../sql/connect.ts'
import { type App, createTally, presentRefresh, seedApps, type Tally } from './load.ts'
import { createPostgres } from './postgres.ts'
import type { Fault } from './report.ts'
import { statementProxy } from './statement-proxy.ts'
import { type Scene, underLoad } from './under-load.ts'

const restarted: Fault = {
  name: 'database-restarted',
  title: 'PostgreSQL is stopped and started, then killed with all of its processes',
  run: (report) =>
    underLoad(report, 'restarted', async ({ postgres }) => {
      for (const signal of ['SIGINT', 'SIGKILL'] as const) {
        await postgres.end(signal)
        await Bun.sleep(2500)
        await postgres.start()
        await Bun.sleep(1500)
      }
    }),
}

const failedOver: Fault = {
  name: 'failed-over',
  title: 'a primary with a synchronous standby behind it is restarted, then gone; the standby is promoted',
  async run(report) {
    const primary = await createPostgres()
    const standby = await primary.standby()
    const synchronous = ['synchronous_standby_names=*']
    try {
      await primary.start()
      await standby.start()
      await primary.end('SIGINT')
      await primary.start(synchronous)
      const hosts = `@127.0.0.1:${primary.port},127.0.0.1:${standby.port}`
      const trouble = async (scene: Scene) => {
        await primary.end('SIGINT')
        await Bun.sleep(1500)
        await primary.start(synchronous)
        const back = await refreshes(scene)
        report.check(
          'the primary restarts: no connection stays on the standby',
          back.of(503) === 0,
          back.text(),
        )
        await primary.end('SIGKILL')
        await Bun.sleep(2500)
        await standby.promote()
        const over = await refreshes(scene)
        report.check('the standby is promoted: every connection writes', over.of(503) === 0, over.text())
      }
      await underLoad(report, 'failover', trouble, {
        postgres: primary,
        addressOf: (name) => primary.uri(name).replace(/@[^/]+/, hosts),
      })
    } finally {
      await standby.remove()
      await primary.remove()
    }
  },
}

/** Some seconds after a fault, many refreshes at once, so that every connection of the servers is used. */
async function refreshes({ deployment, servers }: Scene): Promise<Tally> {
  await Bun.sleep(4000)
  const tally = createTally()
  const { id, clientId } = deployment.client
  const apps = await seedApps(deployment.sql, id, 40)
  const send = async ({ refresh }: App, index: number) =>
    tally.count('refresh', await presentRefresh(servers[index % servers.length] ?? NOBODY, clientId, refresh))
  await Promise.all(apps.map(send))
  return tally
}

const NOBODY = { port: 1 }

/** Connections of the database that is short of them. */
const FEW = 20

const outOfConnections: Fault = {
  name: 'out-of-connections',
  title: 'somebody else takes every connection of PostgreSQL, and those of the servers are lost',
  async run(report) {
    const postgres = await createPostgres()
    try {
      await postgres.start([`max_connections=${FEW}`, 'max_wal_senders=0'])
      await underLoad(
        report,
        'crowded',
        async ({ deployment }) => {
          const crowd: Sql[] = []
          const fill = async () => {
            for (let refused = 0; refused < 5; ) {
              const one = createSql({ uri: postgres.uri() }, { max: 1, applicationName: 'crowd' })
              crowd.push(one)
              refused = await one`select 1`.then(
                () => 0,
                () => refused + 1,
              )
            }
          }
          await fill()
          // Whatever becomes free goes to whoever asks first, until the servers have none.
          for (let left = 1; left > 0; await fill()) {
            const gone = await deployment.sql`
              select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'latchkey%'`
            left = gone.length
          }
          await Bun.sleep(3000)
          await Promise.all(crowd.map((one) => one.end({ timeout: 0 })))
        },
        { postgres },
      )
    } finally {
      await postgres.remove()
    }
  },
}

const slow: Fault = {
  name: 'database-slow',
  title: 'every packet to and from PostgreSQL takes 300 ms longer, then nothing comes through for 5 s',
  async run(report) {
    const postgres = await createPostgres()
    await postgres.start()
    try {
      const proxy = await statementProxy(postgres.uri('slow'))
      await underLoad(
        report,
        'slow',
        async ({ load }) => {
          proxy.delay = 300
          await Bun.sleep(6000)
          const before = load.tally.of(200)
          await Bun.sleep(4000)
          const done = load.tally.of(200) - before
          report.check('requests are answered, slowly', done > 0, `${done} in 4 s`)
          proxy.delay = 5000
          await Bun.sleep(3000)
          proxy.delay = 0
          await Bun.sleep(5000)
        },
        { postgres, way: proxy.uri },
      )
      await proxy.close()
    } finally {
      await postgres.remove()
    }
  },
}

export const databaseFaults: readonly Fault[] = [restarted, failedOver, outOfConnections, slow]
