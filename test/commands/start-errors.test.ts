import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { selfSigned } from '../support/certificate.ts'
import { createTestDatabase } from '../support/database.ts'
import { reservePort } from '../support/ports.ts'
import { endAll, freeAddress, latchkey, MAIN, newFolder, type Outcome } from './support.ts'

let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
beforeEach(async () => {
  folder = await newFolder()
  address = await freeAddress()
})
afterEach(async () => {
  await endAll()
  await folder.remove()
})

const start = (env: Record<string, string> = {}) =>
  latchkey(['start'], { cwd: folder.path, env: { ...address.env, ...env } })

/** One line on standard error, no stack, exit code 1. */
function expectSentence(outcome: Outcome, sentence: RegExp): void {
  expect(outcome.err.trimEnd()).toMatch(sentence)
  expect(outcome.err.trimEnd().split('\n')).toHaveLength(1)
  expect(outcome.err).not.toMatch(/^\s+at /m)
  expect(outcome.code).toBe(1)
}

const NOBODY = 65534
const canTryNobody =
  process.getuid?.() === 0 &&
  spawnSync('/bin/sh', ['-c', `test -r '${MAIN}'`], { uid: NOBODY, gid: NOBODY }).status === 0

describe('latchkey start, when it can not', () => {
  test('a port in use', async () => {
    const other = createServer().listen(address.port, '127.0.0.1')
    const outcome = await start()
    other.close()
    expectSentence(outcome, new RegExp(`^Cannot listen on http://127.0.0.1:${address.port}: another program`))
    // Nothing goes on in the background.
    expect(await readdir(join(folder.path, 'data/postgres/cluster'))).not.toContain('postmaster.pid')
  }, 180_000)

  test('a file where the folder should be', async () => {
    await writeFile(join(folder.path, 'data'), '')
    expectSentence(await start(), /can't (write|be read)/)
  }, 180_000)

  test.skipIf(!canTryNobody)(
    'a folder that it may not write',
    async () => {
      const outcome = await latchkey(['start'], { cwd: folder.path, env: address.env, uid: NOBODY })
      expectSentence(outcome, /^Latchkey can't write in .*data \(EACCES\); start it in a folder of your own/)
    },
    180_000,
  )

  test('a database that nobody answers for', async () => {
    const port = await reservePort()
    const outcome = await start({
      LATCHKEY_DATABASE__URI: `postgresql://me:hunter2@127.0.0.1:${port}/latchkey`,
    })
    expectSentence(
      outcome,
      new RegExp(`^The database at 127.0.0.1:${port} can't be reached \\(ECONNREFUSED\\)`),
    )
    expect(outcome.err + outcome.out).not.toContain('hunter2')
    // With `database` configured, no embedded server starts.
    expect(await readdir(join(folder.path, 'data'))).toEqual(['config.yaml'])
  }, 180_000)

  test('a database that does not exist, a wrong password', async () => {
    const { uri, name, drop } = await createTestDatabase({ migrated: false })
    const missing = uri.replace(`/${name}`, '/not_there')
    expectSentence(
      await start({ LATCHKEY_DATABASE__URI: missing }),
      /^There is no database named not_there at /,
    )
    const wrong = uri.replace(/:[^:@]+@/, ':wrong-password@')
    expectSentence(await start({ LATCHKEY_DATABASE__URI: wrong }), /refuses the user name or password/)
    await drop()
  }, 180_000)

  test('a database without encryption, or with a certificate that nobody vouches for (ssl_mode)', async () => {
    const certificate = await selfSigned('localhost')
    // PostgreSQL's answer to SSLRequest (manual, section 54.2.11): `N` for no, `S` and TLS for yes.
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        if (!encrypted) return socket.end('N')
        socket.write('S')
        new TLSSocket(socket, { isServer: true, ...certificate }).on('error', () => {}).resume()
      })
    })
    let encrypted = false
    const port = await reservePort()
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const uri = `postgresql://me:hunter2@127.0.0.1:${port}/latchkey?sslmode=`
    expectSentence(
      await start({ LATCHKEY_DATABASE__URI: `${uri}require` }),
      /ended the connection when encryption was asked for \(ssl_mode require\); turn ssl on/,
    )
    encrypted = true
    for (const mode of ['verify-ca', 'verify-full']) {
      expectSentence(
        await start({ LATCHKEY_DATABASE__URI: `${uri}${mode}` }),
        /has a certificate that can't be trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\); .*database.ssl_ca_file/,
      )
    }
    server.close()
  }, 180_000)

  test("MAS's own database: refused, nothing written", async () => {
    const { sql, uri, drop } = await createTestDatabase({ migrated: false })
    await sql`create table public._sqlx_migrations (version bigint primary key)`
    expectSentence(
      await start({ LATCHKEY_DATABASE__URI: uri }),
      /^This database belongs to the Matrix Authentication Service/,
    )
    const schemas = await sql`select nspname from pg_namespace where nspname like 'latchkey%'`
    expect(schemas).toHaveLength(0)
    await drop()
  }, 180_000)

  test('a database newer than the code', async () => {
    const { sql, uri, drop } = await createTestDatabase()
    await sql`insert into latchkey.migrations (version, name, checksum) values (9999, '9999_later', 'x')`
    expectSentence(
      await start({ LATCHKEY_DATABASE__URI: uri }),
      /^This database was migrated by a newer Latchkey \(9999_later\)/,
    )
    await drop()
  }, 180_000)

  test('a broken configuration: every problem, one a line', async () => {
    await writeFile(
      join(folder.path, 'config.yaml'),
      'matrix:\n  kimd: standalone\nhttp:\n  public_base: 7\n',
    )
    const outcome = await start()
    expect(outcome.code).toBe(1)
    const lines = outcome.err.trimEnd().split('\n')
    expect(lines.length).toBeGreaterThan(1)
    expect(lines.join('\n')).toMatch(/kimd/)
    expect(outcome.err).not.toMatch(/^\s+at /m)
  }, 180_000)
})
