import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { insertUser } from '../../sql/users.ts'
import { findFreePort } from '../../src/commands/demo/ports.ts'
import { deriveSecrets } from '../../src/crypto/seal.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { newId, uuidFromUlid } from '../../src/lib/ulid.ts'
import { moduleFile } from '../policy/opa/fixture.ts'
import { selfSigned } from '../support/certificate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { begin, beginReady, endAll, freeAddress, latchkey, newFolder } from './support.ts'

const CLIENT = '01J44Q10GR4AMTFZEEF936DTCM'
const ENCRYPTION = '0123456789abcdef'.repeat(4)

let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase
beforeEach(async () => {
  folder = await newFolder()
  address = await freeAddress()
  database = await createTestDatabase({ migrated: false })
  expect((await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })).code).toBe(0)
})
afterEach(async () => {
  await endAll()
  await database.drop()
  await folder.remove()
})

const options = (env: Record<string, string> = {}) => ({
  cwd: folder.path,
  env: {
    ...address.env,
    LATCHKEY_DATABASE__URI: database.uri,
    LATCHKEY_SECRETS__ENCRYPTION: ENCRYPTION,
    ...env,
  },
})

const health = async () => (await fetch(new URL('/health', address.url))).status

/** A request that waits for the database until `release`, which holds a stop up. */
async function blockedRequest(): Promise<{
  request: Promise<number | string>
  release: () => Promise<void>
}> {
  const unlock = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const lock = database.sql.begin(async (tx) => {
    await tx`lock table latchkey.clients in access exclusive mode`
    locked.resolve()
    await unlock.promise
  })
  await locked.promise
  const url = new URL(`/authorize?client_id=${CLIENT}`, address.url)
  const request = fetch(url).then(
    (response) => response.status,
    () => 'cut off',
  )
  const waiting = () => database.sql`
    select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  while ((await waiting()).length === 0) await Bun.sleep(20)
  return {
    request,
    release: async () => {
      unlock.resolve()
      await lock
    },
  }
}

describe('latchkey server', () => {
  test('migrates, serves, runs jobs, logs lines of JSON, ends on SIGTERM with 0', async () => {
    const server = await beginReady(['server'], options())
    expect(await health()).toBe(200)
    const created = await latchkey(['manage', 'register-user', 'alice'], options())
    expect(created.code).toBe(0)
    let queue: readonly unknown[] = []
    for (let tries = 0; tries < 1000 && queue.length === 0; tries++) {
      queue = await database.sql`select 1 from pg_namespace where nspname = 'latchkey_jobs'`
      await Bun.sleep(50)
    }
    expect(queue).toHaveLength(1)
    server.kill('SIGTERM')
    const { code, out, err } = await server.ended
    expect(code).toBe(0)
    expect(out).toBe('')
    for (const line of err.trimEnd().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
    expect(await health().catch(() => 'closed')).toBe('closed')
  }, 180_000)

  test('SIGHUP: certificates and the policy module are read again, and the server goes on', async () => {
    const put = async (host: string) => {
      const { cert, key } = await selfSigned(host)
      await writeFile(join(folder.path, 'tls.crt'), cert)
      await writeFile(join(folder.path, 'tls.key'), key)
    }
    await put('a.test')
    const module = await moduleFile()
    const listeners = JSON.stringify([
      {
        resources: [{ name: 'health' }],
        binds: [{ host: '127.0.0.1', port: address.port }],
        tls: { certificate_file: 'tls.crt', key_file: 'tls.key' },
      },
    ])
    const server = await beginReady(
      ['server'],
      options({ LATCHKEY_HTTP__LISTENERS: listeners, LATCHKEY_POLICY__WASM_MODULE: module }),
    )
    await put('b.test')
    const said = () =>
      ['certificate.renewed', 'config.reloaded'].every((event) => server.said().includes(event))
    server.kill('SIGHUP')
    for (let tries = 0; tries < 1000 && !said(); tries++) await Bun.sleep(50)
    const subject = () =>
      new Promise((resolve, reject) => {
        const socket = connect({ port: address.port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
          resolve(socket.getPeerCertificate().subject.CN)
          socket.destroy()
        })
        socket.on('error', reject)
      })
    const name = await subject()
    expect(name).toBe('b.test')
    expect(said()).toBe(true)
    // A broken one is not taken, and the log says why.
    await writeFile(join(folder.path, 'tls.crt'), 'no certificate')
    server.kill('SIGHUP')
    const refused = /"(certificate\.[a-z_]*failed|config\.reload_failed)"/
    for (let tries = 0; tries < 1000 && !refused.test(server.said()); tries++) await Bun.sleep(50)
    expect(server.said()).toMatch(refused)
    expect(await subject()).toBe('b.test')
    server.kill('SIGTERM')
    expect((await server.ended).code).toBe(0)
  }, 180_000)

  test('writes the clients of the configuration, their secrets sealed; a second start replaces them', async () => {
    const clients = (name: string) =>
      JSON.stringify([
        {
          client_id: CLIENT,
          client_auth_method: 'client_secret_basic',
          client_name: name,
          client_secret: 'a-secret-of-the-client',
          redirect_uris: ['https://app.example.org/callback'],
        },
      ])
    for (const name of ['First', 'Second']) {
      const server = await beginReady(['server'], options({ LATCHKEY_CLIENTS: clients(name) }))
      server.kill('SIGTERM')
      await server.ended
      expect(server.said()).not.toContain('a-secret-of-the-client')
      const rows = await database.sql`select * from latchkey.clients`
      expect(rows).toHaveLength(1)
      const [row] = rows
      expect(row).toMatchObject({
        id: uuidFromUlid(CLIENT),
        is_static: true,
        auth_method: 'client_secret_basic',
        redirect_uris: ['https://app.example.org/callback'],
        metadata: { client_name: name },
      })
      expect(row?.grant_types).toContain('refresh_token')
      const { open } = await deriveSecrets(ENCRYPTION)
      expect(row?.sealed_secret).not.toContain('a-secret')
      expect(await open(row?.sealed_secret, `client:${row?.id}`)).toBe('a-secret-of-the-client')
    }
  }, 180_000)

  test('--no-migrate: refuses a database that is not up to date, and names the command', async () => {
    const { code, err } = await latchkey(['server', '--no-migrate'], options())
    expect(code).toBe(1)
    expect(err).toMatch(/^The database is not up to date \(0001_foundation.*latchkey database migrate\n$/)
    const status = await latchkey(['database', 'status'], options())
    expect(status.out).toContain('0001_foundation')
    expect((await latchkey(['database', 'migrate'], options())).code).toBe(0)
    expect((await latchkey(['database', 'status'], options())).out).toBe('The database is up to date.\n')
    const server = await beginReady(['server', '--no-migrate', '--no-worker'], options())
    server.kill('SIGTERM')
    expect((await server.ended).code).toBe(0)
  }, 180_000)

  test('another matrix.homeserver: refused once there are accounts (decision 27)', async () => {
    const named = (name: string) => options({ LATCHKEY_MATRIX__HOMESERVER: name })
    const run = async (name: string) => {
      const server = await beginReady(['server'], named(name))
      server.kill('SIGTERM')
      return (await server.ended).code
    }
    expect(await run('one.test')).toBe(0)
    expect(await run('two.test')).toBe(0)
    expect((await latchkey(['manage', 'register-user', 'alice'], named('two.test'))).out).toContain(
      '@alice:two.test',
    )
    const { code, err } = await latchkey(['server'], named('one.test'))
    expect(code).toBe(1)
    expect(err).toMatch(
      /^The accounts of this database belong to two\.test, and matrix\.homeserver is now one\.test/,
    )
    expect(await run('two.test')).toBe(0)
  }, 180_000)

  test('--stop-with-stdin: ends when its standard input does', async () => {
    const server = await beginReady(['server', '--stop-with-stdin'], options())
    server.closeStdin()
    expect((await server.ended).code).toBe(0)
  }, 180_000)

  test('SIGTERM: a request under way is answered, then it ends', async () => {
    const server = await beginReady(['server'], options())
    const { request, release } = await blockedRequest()
    server.kill('SIGTERM')
    while (!server.said().includes('server.stopping')) await Bun.sleep(20)
    // It says so first, and closes its ports then.
    while ((await health().catch(() => 'closed')) !== 'closed') await Bun.sleep(20)
    await release()
    expect(await request).toBeNumber()
    expect((await server.ended).code).toBe(0)
  }, 180_000)

  test('a second signal ends it at once, requests under way or not', async () => {
    const server = await beginReady(['server'], options())
    const { request, release } = await blockedRequest()
    server.kill('SIGTERM')
    while (!server.said().includes('server.stopping')) await Bun.sleep(20)
    // Within a second of the first it counts as the same Ctrl-C, so it is sent until it is heard.
    const insisting = setInterval(() => server.kill('SIGTERM'), 100)
    const { code } = await server.ended
    clearInterval(insisting)
    expect(code).toBe(143)
    expect(await request).toBe('cut off')
    await release()
  }, 180_000)

  test('-c before the command works as in MAS; several files are merged', async () => {
    await writeFile(join(folder.path, 'more.yaml'), 'matrix:\n  homeserver: merged.test\n')
    const args = ['-c', 'config.yaml', '--config=more.yaml', 'config', 'check']
    const { code, out } = await latchkey(args, options())
    expect({ code, out }).toMatchObject({ code: 0 })
    expect(out).toContain('config.yaml, more.yaml')
  }, 180_000)
})

test('http.drain_delay: a server that is told to stop is not ready, and answers meanwhile', async () => {
  const server = await beginReady(['server', '--no-worker'], {
    ...options(),
    env: { ...options().env, LATCHKEY_HTTP__DRAIN_DELAY: '300' },
  })
  const status = async (path: string) =>
    (await fetch(new URL(path, address.url), { keepalive: false })).status
  expect(await status('/ready')).toBe(200)
  server.kill('SIGTERM')
  while (!server.said().includes('"server.stopping"')) await Bun.sleep(20)
  expect(await status('/ready')).toBe(503)
  expect(await status('/.well-known/openid-configuration')).toBe(200)
  // A second signal, when it is not the same Ctrl-C any more, waits for nothing.
  await Bun.sleep(1_200)
  server.kill('SIGTERM')
  expect((await server.ended).code).toBe(143)
}, 60_000)

describe('latchkey worker', () => {
  test('runs the jobs of a server that runs none; listens only where it is told to, for those who watch it', async () => {
    expect((await latchkey(['worker'], options())).err).toMatch(/^The database is not up to date/)
    expect((await latchkey(['database', 'migrate'], options())).code).toBe(0)
    // What a server leaves in the queue: the homeserver is to be told of a new account.
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const jobs = createJobs({ uri: database.uri }, log)
    const id = newId(systemClock.now(), systemRandom)
    const alice = { id, username: 'alice', folded: 'alice', displayName: null, isAdmin: false }
    await insertUser(database.sql, { ...alice, now: systemClock.now() })
    await jobs.enqueue(database.sql, 'provision-user', { user_id: id })
    await jobs.stop()

    const port = await findFreePort(0)
    const worker = begin(['worker', '--listen', `127.0.0.1:${port}`], options())
    while (!worker.said().includes('worker.ready')) await Bun.sleep(20)
    let told: unknown = null
    for (let tries = 0; tries < 1000 && told === null; tries++) {
      told = (await database.sql`select provisioned_at from latchkey.users`)[0]?.provisioned_at
      await Bun.sleep(50)
    }
    expect(told).toBeInstanceOf(Date)
    expect(await health().catch(() => 'closed')).toBe('closed')
    const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
    expect((await ask('/health')).status).toBe(200)
    expect(await (await ask('/ready')).json()).toMatchObject({ checks: { database: { state: 'ok' } } })
    expect(await (await ask('/metrics')).text()).toContain('job_process_duration_milliseconds_count{')
    expect((await ask('/login')).status).toBe(404)
    worker.kill('SIGTERM')
    expect((await worker.ended).code).toBe(0)
  }, 180_000)
})
