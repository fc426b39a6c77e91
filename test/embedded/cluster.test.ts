import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createSql } from '../../sql/connect.ts'
import { type Cluster, ensureDatabase, startCluster } from '../../src/embedded/cluster.ts'
import { ClusterError } from '../../src/embedded/cluster-error.ts'
import { isAlive } from '../../src/embedded/postmaster.ts'

let home = ''
const running: Cluster[] = []

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'latchkey-embedded-'))
  // Others may pass through, as below most home directories of servers.
  await chmod(home, 0o711)
})

afterAll(async () => {
  for (const cluster of running) await cluster.stop()
  await rm(home, { recursive: true, force: true })
})

const lines: string[] = []

async function start(
  name: string,
  options: { exclusive?: boolean; ephemeral?: boolean; supervise?: boolean } = {},
): Promise<Cluster> {
  const cluster = await startCluster({
    directory: join(home, name),
    log: (line) => lines.push(line),
    ...options,
  })
  running.push(cluster)
  return cluster
}

async function ask(cluster: Cluster, query: string, database = 'postgres'): Promise<unknown> {
  const sql = createSql({ uri: cluster.uri(database) }, { max: 1 })
  try {
    const [row] = await sql.unsafe(query).values()
    return row?.[0]
  } finally {
    await sql.end()
  }
}

interface Holder {
  process: Bun.Subprocess
  pid: number
  adopted: boolean
}

async function hold(name: string, mode = 'durable'): Promise<Holder> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dirname, 'holder.ts'), join(home, name), mode],
    {
      stdout: 'pipe',
      stderr: 'inherit',
    },
  )
  const { value } = await child.stdout.getReader().read()
  return {
    process: child,
    ...(JSON.parse(new TextDecoder().decode(value)) as { pid: number; adopted: boolean }),
  }
}

async function killHard(holder: Holder): Promise<void> {
  holder.process.kill('SIGKILL')
  await holder.process.exited
}

async function gone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 600; tries++) {
    if (!(await isAlive(pid))) return true
    await Bun.sleep(50)
  }
  return false
}

const refusal = (promise: Promise<unknown>): Promise<ClusterError> =>
  promise.then(
    () => {
      throw new Error('It was not refused.')
    },
    (error) => {
      expect(error).toBeInstanceOf(ClusterError)
      return error
    },
  )

describe('startCluster: a first and a second start', () => {
  test('the first start says that it prepares, with UTF-8, a fixed locale and scram', async () => {
    const cluster = await start('plain')
    expect(cluster.adopted).toBe(false)
    expect(lines.join()).toContain('Preparing the embedded PostgreSQL')
    const settings = await ask(
      cluster,
      `select concat_ws(' ', pg_encoding_to_char(encoding), datlocale, current_setting('server_version_num')::int / 10000,
        current_setting('listen_addresses'), current_setting('fsync'), current_setting('data_checksums'), lower('É'))
       from pg_database where datname = 'postgres'`,
    )
    expect(settings).toBe('UTF8 C.UTF-8 18 127.0.0.1 on on é')
    const wrong = createSql({ uri: cluster.uri('postgres').replace(cluster.password, 'wrong') }, { max: 1 })
    await expect(wrong`select 1`.execute()).rejects.toMatchObject({ code: '28P01' })
    await wrong.end()
  })

  test('the password and the cluster are closed to other users', async () => {
    expect((await stat(join(home, 'plain', 'password'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(home, 'plain', 'cluster'))).mode & 0o777).toBe(0o700)
    expect((await stat(join(home, 'plain', 'server.log'))).mode & 0o777).toBe(0o600)
  })

  test('PostgreSQL has a session of its own, so that Ctrl-C does not reach it', async () => {
    const cluster = await start('plain')
    const fields = (await readFile(`/proc/${cluster.pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ')
    expect(Number(fields[3])).toBe(cluster.pid)
  })

  test('a second start keeps the data, and stop leaves no process', async () => {
    const first = await start('plain')
    await ensureDatabase(first, 'kept')
    await ensureDatabase(first, 'kept')
    await ask(first, 'create table note as select 42 as answer', 'kept')
    for (const cluster of running) await cluster.stop()
    expect(await isAlive(first.pid)).toBe(false)

    const second = await start('plain')
    expect(second.adopted).toBe(false)
    expect(second.password).toBe(first.password)
    expect(await ask(second, 'select answer from note', 'kept')).toBe(42)
    await second.stop()
  })
})

describe('startCluster: a server that ends by itself', () => {
  /** Waits for a time that has no end of its own: that of the test does. */
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await Bun.sleep(20)
  }

  test('supervised, it is started again where it was, with what it had; stop ends that one, and no other comes', async () => {
    const cluster = await start('supervised', { supervise: true })
    await ensureDatabase(cluster, 'kept')
    await ask(cluster, 'create table note as select 42 as answer', 'kept')
    const { pid: first, port } = cluster
    process.kill(first, 'SIGKILL')
    await until(() => cluster.pid !== first)
    expect(cluster.port).toBe(port)
    expect(await ask(cluster, 'select answer from note', 'kept')).toBe(42)
    expect(lines).toContain('The embedded PostgreSQL has ended by itself; starting it again…')

    const second = cluster.pid
    process.kill(second, 'SIGINT')
    await until(() => cluster.pid !== second)
    expect(await ask(cluster, 'select answer from note', 'kept')).toBe(42)
    const third = cluster.pid
    await cluster.stop()
    expect(await isAlive(third)).toBe(false)
    expect(cluster.pid).toBe(third)
    expect(await readFile(join(cluster.location, 'postmaster.pid'), 'utf8').catch(() => 'none')).toBe('none')
  }, 180_000)

  test('one that was adopted is started again too', async () => {
    const holder = await hold('supervised')
    holder.process.kill('SIGKILL')
    await holder.process.exited
    const cluster = await start('supervised', { supervise: true })
    expect([cluster.adopted, cluster.pid]).toEqual([true, holder.pid])
    process.kill(holder.pid, 'SIGKILL')
    await until(() => cluster.pid !== holder.pid)
    expect(await ask(cluster, 'select answer from note', 'kept')).toBe(42)
    await cluster.stop()
  }, 180_000)

  test('a stop while it is about to be started again ends nothing that another start has begun', async () => {
    const cluster = await start('supervised', { supervise: true })
    process.kill(cluster.pid, 'SIGKILL')
    await cluster.stop()
    const next = await start('supervised')
    expect(await ask(next, 'select answer from note', 'kept')).toBe(42)
    await next.stop()
  }, 180_000)
})

describe('startCluster: other processes', () => {
  test('a server whose Latchkey was killed is adopted, and stopped with us', async () => {
    const holder = await hold('killed')
    await killHard(holder)
    expect(await isAlive(holder.pid)).toBe(true)
    const cluster = await start('killed')
    expect(cluster).toMatchObject({ adopted: true, pid: holder.pid })
    expect(await ask(cluster, 'select 1')).toBe(1)
    await cluster.stop()
    expect(await isAlive(holder.pid)).toBe(false)
  })

  test('the server of a living Latchkey is shared, and stays that one to stop', async () => {
    const holder = await hold('shared')
    const cluster = await start('shared')
    expect(cluster).toMatchObject({ adopted: true, pid: holder.pid })
    await cluster.stop()
    expect(await isAlive(holder.pid)).toBe(true)
    expect(await refusal(start('shared', { exclusive: true }))).toMatchObject({ reason: 'in_use' })
    holder.process.kill('SIGTERM')
    expect(await holder.process.exited).toBe(0)
    expect(await isAlive(holder.pid)).toBe(false)
  })

  test('two first starts at the same time end with one server', async () => {
    const holders = await Promise.all([hold('race'), hold('race')])
    expect(new Set(holders.map(({ pid }) => pid)).size).toBe(1)
    expect(holders.map(({ adopted }) => adopted).sort()).toEqual([false, true])
    for (const { process: child } of holders) child.kill('SIGTERM')
    await Promise.all(holders.map(({ process: child }) => child.exited))
    expect(await gone(holders[0].pid)).toBe(true)
  })

  test('an ephemeral server ends with its process, even a killed one', async () => {
    const holder = await hold('ephemeral', 'ephemeral')
    await killHard(holder)
    expect(await gone(holder.pid)).toBe(true)
  })

  test('a killed PostgreSQL is recovered at the next start', async () => {
    const first = await start('crashed')
    await ask(first, 'create table note as select 7 as answer')
    process.kill(first.pid, 'SIGKILL')
    expect(await gone(first.pid)).toBe(true)
    await first.stop()
    const second = await start('crashed')
    expect(second.adopted).toBe(false)
    expect(await ask(second, 'select answer from note')).toBe(7)
    await second.stop()
  })

  test('a pid file whose number went to another process does not stop the start, nor that process', async () => {
    const bystander = Bun.spawn(['sleep', '60'])
    const pidFile = join(home, 'crashed', 'cluster', 'postmaster.pid')
    await writeFile(
      pidFile,
      `${bystander.pid}\n${join(home, 'crashed', 'cluster')}\n1700000000\n5432\n\n127.0.0.1\n\nready   \n`,
    )
    const cluster = await start('crashed')
    expect(cluster.adopted).toBe(false)
    await cluster.stop()
    expect(await isAlive(bystander.pid)).toBe(true)
    bystander.kill()
  })
})

describe('startCluster: what it refuses', () => {
  test('a cluster of another major version, by a sentence that names both', async () => {
    await mkdir(join(home, 'old', 'cluster'), { recursive: true })
    await writeFile(join(home, 'old', 'cluster', 'PG_VERSION'), '17\n')
    const { message } = await refusal(start('old'))
    expect(message).toContain('was made by PostgreSQL 17, and this Latchkey brings 18')
  })

  test('a directory that it cannot write', async () => {
    await writeFile(join(home, 'file'), '')
    const { message } = await refusal(start('file/below'))
    expect(message).toContain(`can't write to ${join(home, 'file/below')}`)
  })

  test('a cluster without its password file', async () => {
    await rm(join(home, 'crashed', 'password'))
    const { message } = await refusal(start('crashed'))
    expect(message).toContain('password of the embedded PostgreSQL is missing')
  })
})

describe.skipIf(process.getuid?.() !== 0)('startCluster as root', () => {
  test('PostgreSQL runs under an unprivileged account', async () => {
    const cluster = await start('as-root')
    const status = await readFile(`/proc/${cluster.pid}/status`, 'utf8')
    expect(/^Uid:\t(\d+)/m.exec(status)?.[1]).not.toBe('0')
    expect(/^Gid:\t(\d+)/m.exec(status)?.[1]).not.toBe('0')
    expect(/^Groups:\t(.*)/m.exec(status)?.[1]?.trim().split(' ')).not.toContain('0')
    await cluster.stop()
  })

  test('below a folder that others cannot enter, the cluster goes elsewhere and the directory says where', async () => {
    await mkdir(join(home, 'closed'), { mode: 0o700 })
    const first = await start('closed/postgres')
    const base = dirname(first.location)
    try {
      expect(base).toMatch(/^\/var\/lib\/latchkey\/[\w-]{12}$/)
      expect(await readFile(join(home, 'closed/postgres/location'), 'utf8')).toContain(`\n${base}\n`)
      await ask(first, 'create table note as select 9 as answer')
      await first.stop()
      const second = await start('closed/postgres')
      expect(second.location).toBe(first.location)
      expect(await ask(second, 'select answer from note')).toBe(9)
      await second.stop()
    } finally {
      await first.stop()
      await rm(base, { recursive: true, force: true })
    }
    const { message } = await refusal(start('closed/postgres'))
    expect(message).toContain(`says that the database is in ${base}, but it is not there`)
  })
})
