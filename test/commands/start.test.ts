import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { chown, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive } from '../../src/embedded/postmaster.ts'
import { beginReady, endAll, freeAddress, latchkey, MAIN, newFolder, postgresPid } from './support.ts'

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

const options = (more: { uid?: number } = {}) => ({ cwd: folder.path, env: address.env, ...more })
const cluster = () => join(folder.path, 'data/postgres/cluster')
const mode = async (path: string) => ((await stat(join(folder.path, path))).mode & 0o777).toString(8)

/** Any account that is not root and exists everywhere. */
const NOBODY = 65534
const asNobody = (args: string[]) => spawnSync('/bin/sh', args, { uid: NOBODY, gid: NOBODY }).status === 0
const canTryNobody = process.getuid?.() === 0 && asNobody(['-c', `test -r '${MAIN}'`])

describe('latchkey start', () => {
  test('in an empty folder: writes its configuration, serves pages, says what to open; Ctrl-C ends everything', async () => {
    const server = await beginReady(['start'], options())
    const said = server.said()
    expect(said).toContain(`Open ${address.url}`)
    expect(said).toMatch(/without an email address/)
    expect(said).toMatch(/first account becomes an admin/)
    expect(said).toMatch(/No homeserver is connected yet. docs\/installation.md/)
    expect(said).toContain('data/config.yaml')
    expect(said).toContain('Ctrl-C')

    expect(await mode('data/config.yaml')).toBe('600')
    // As root, PostgreSQL's own account has to pass; nobody but us may look.
    expect(await mode('data')).toBe(process.getuid?.() === 0 ? '711' : '700')
    expect(await mode('data/postgres/password')).toBe('600')
    const text = await readFile(join(folder.path, 'data/config.yaml'), 'utf8')
    expect(text).toMatch(/encryption: "[0-9a-f]{64}"/)
    expect(said).not.toMatch(/[0-9a-f]{64}|PRIVATE KEY/)

    const login = await fetch(new URL('/login', address.url))
    expect(login.status).toBe(200)
    const discovery = await fetch(new URL('/.well-known/openid-configuration', address.url))
    expect(((await discovery.json()) as { issuer: string }).issuer).toBe(address.url)

    const postgres = await postgresPid(cluster())
    expect(await isAlive(postgres)).toBe(true)
    server.kill('SIGINT')
    const { code, out } = await server.ended
    expect(code).toBe(0)
    expect(out).toContain('Latchkey has stopped')
    expect(await isAlive(postgres)).toBe(false)
  }, 180_000)

  test('the sign-up page gets its strength meter', async () => {
    const server = await beginReady(['start'], options())
    let script: string | undefined
    for (let tries = 0; tries < 1000 && script === undefined; tries++) {
      const page = await (await fetch(new URL('/register', address.url))).text()
      script = page.match(/data-strength="([^"]+)"/)?.[1]
      await Bun.sleep(50)
    }
    const response = await fetch(new URL(script ?? '/missing', address.url))
    expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    expect(await response.text()).toContain('estimate')
    server.kill('SIGTERM')
    expect((await server.ended).code).toBe(0)
  }, 180_000)

  test('again: keeps configuration and accounts, also after SIGKILL', async () => {
    const first = await beginReady(['start'], options())
    const text = await readFile(join(folder.path, 'data/config.yaml'), 'utf8')
    // While the server runs: on its database, which goes on afterwards.
    const created = await latchkey(['manage', 'register-user', 'alice'], options())
    expect(created).toMatchObject({ code: 0 })
    expect(created.out).toContain('@alice:localhost')
    expect((await fetch(new URL('/health', address.url))).status).toBe(200)

    const postgres = await postgresPid(cluster())
    first.kill('SIGKILL')
    await first.ended
    expect(await isAlive(postgres)).toBe(true)

    const second = await beginReady(['start'], options())
    expect(second.said()).not.toContain('First start')
    // Alice was the first.
    expect(second.said()).not.toMatch(/first account/)
    expect(await readFile(join(folder.path, 'data/config.yaml'), 'utf8')).toBe(text)
    expect((await fetch(new URL('/health', address.url))).status).toBe(200)
    second.kill('SIGINT')
    await second.ended
    expect(await isAlive(postgres)).toBe(false)

    // Without a server: the command starts the database, and stops it.
    const admins = await latchkey(['manage', 'list-admin-users'], options())
    expect(admins).toMatchObject({ code: 0, out: 'alice\n' })
    expect((await latchkey(['manage', 'register-user', 'bob'], options())).out).toContain(
      'Created @bob:localhost',
    )
    expect(await postgresPid(cluster()).catch(() => undefined)).toBeUndefined()
  }, 180_000)

  test('PostgreSQL is killed: it is started again, and the service finds back', async () => {
    const server = await beginReady(['start'], options())
    const postgres = await postgresPid(cluster())
    process.kill(postgres, 'SIGKILL')
    while (!server.said().includes('The embedded PostgreSQL runs again.')) await Bun.sleep(50)
    let status = 0
    while (status !== 200) {
      // 503 until connections are found to be broken, and never anything else.
      status = (await fetch(new URL('/login', address.url))).status
      expect([200, 503]).toContain(status)
    }
    server.kill('SIGINT')
    expect((await server.ended).code).toBe(0)
    expect(await postgresPid(cluster()).catch(() => undefined)).toBeUndefined()
  }, 180_000)

  test('with config.yaml here: uses it and writes no other', async () => {
    const generated = await latchkey(['config', 'generate', '-o', 'config.yaml'], options())
    expect(generated.code).toBe(0)
    const server = await beginReady(['start'], options())
    expect(server.said()).toMatch(/Configuration: config\.yaml/)
    expect(await stat(join(folder.path, 'data')).catch(() => undefined)).toBeUndefined()
    server.kill('SIGINT')
    expect((await server.ended).code).toBe(0)
  }, 180_000)

  test.skipIf(!canTryNobody)(
    'as an ordinary user',
    async () => {
      await chown(folder.path, NOBODY, NOBODY)
      const server = await beginReady(['start'], options({ uid: NOBODY }))
      expect((await fetch(new URL('/health', address.url))).status).toBe(200)
      expect(await mode('data')).toBe('700')
      expect((await stat(cluster())).uid).toBe(NOBODY)
      server.kill('SIGINT')
      expect((await server.ended).code).toBe(0)
    },
    180_000,
  )

  test.skipIf(process.getuid?.() !== 0)(
    'as root in a folder that nobody else can enter',
    async () => {
      const closed = await newFolder(true)
      try {
        const server = await beginReady(['start'], { ...options(), cwd: closed.path })
        expect((await fetch(new URL('/health', address.url))).status).toBe(200)
        server.kill('SIGINT')
        expect((await server.ended).code).toBe(0)
      } finally {
        await closed.remove()
      }
    },
    180_000,
  )
})
