import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serverAddress } from '../../src/commands/token/authorization-server.ts'
import { createBrowser, type Page } from '../support/browser.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { answer, enterCode } from '../support/device.ts'
import { begin, beginReady, endAll, freeAddress, latchkey, newFolder, type Running } from './support.ts'

// Each test starts processes, and a sign-in is polled for every five seconds.
setDefaultTimeout(180_000)

const PASSWORD = 'a rather long passphrase 71'
const CLIENT = '01J44Q10GR4AMTFZEEF936DTCM'
const CLIENT_SECRET = 'a-secret-of-a-client'

let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase

beforeAll(async () => {
  folder = await newFolder()
  address = await freeAddress(['adminapi'])
  database = await createTestDatabase()
  await latchkey(['config', 'generate', '-o', 'server.yaml'], server())
  await beginReady(['server', '-c', 'server.yaml', '--no-worker'], server())
  const account = ['manage', 'register-user', '-c', 'server.yaml', 'alice', '--admin', '--password-stdin']
  expect((await latchkey(account, { ...server(), stdin: PASSWORD })).code).toBe(0)
})
afterAll(async () => {
  await endAll()
  await database.drop()
  await folder.remove()
})

const server = () => ({
  cwd: folder.path,
  env: {
    ...address.env,
    LATCHKEY_DATABASE__URI: database.uri,
    LATCHKEY_CLIENTS: JSON.stringify([
      { client_id: CLIENT, client_auth_method: 'client_secret_basic', client_secret: CLIENT_SECRET },
    ]),
    LATCHKEY_POLICY__DATA: JSON.stringify({ admin_clients: [CLIENT] }),
    LATCHKEY_EXPERIMENTAL__ACCESS_TOKEN_TTL: '60',
  },
})

/** Somebody at another machine: no configuration, no variables of the server. */
const elsewhere = (home: string) => ({
  cwd: '/',
  env: { XDG_STATE_HOME: join(folder.path, home) },
})
const token = (home: string, args: string[] = [], stdin = '') =>
  latchkey(['token', '--server', address.url, ...args], { ...elsewhere(home), stdin })

/** Signs in as alice and answers the question of the page of the code that a command shows. */
async function answerInBrowser(command: Running, button: 'consent' | 'reject'): Promise<Page> {
  let code: string | undefined
  while (code === undefined) {
    code = /type the code (\S+)/.exec(command.said())?.[1]
    await Bun.sleep(50)
  }
  const browser = createBrowser((request) => fetch(request, { redirect: 'manual' }), {
    origin: new URL(address.url).origin,
  })
  await (await browser.open('/login')).submit({ username: 'alice', password: PASSWORD })
  return answer(await enterCode(browser, code), button)
}

const api = async (accessToken: string) =>
  (
    await fetch(new URL('/api/admin/v1/users', address.url), {
      headers: { authorization: `Bearer ${accessToken}` },
    })
  ).status

const keptFiles = async (home: string) => {
  const at = join(folder.path, home, 'latchkey', 'tokens')
  return (await readdir(at).catch(() => [])).map((name) => join(at, name))
}

describe('latchkey token', () => {
  test('somebody signs in with a browser; the token is alone on standard output, kept (0600), renewed, and forgotten', async () => {
    const command = begin(['token', '--server', address.url], { ...elsewhere('alice'), stdin: '' })
    await answerInBrowser(command, 'consent')
    const first = await command.ended
    expect(first.code).toBe(0)
    expect(first.out).toMatch(/^mat_[\x21-\x7e]+\n$/)
    expect(first.err).toMatch(
      /^To sign in, open http:\/\/localhost:\d+\/link in a browser and type the code \S+\n$/,
    )
    expect(await api(first.out.trim())).toBe(200)

    const [file = ''] = await keptFiles('alice')
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600')
    expect(((await stat(join(file, '..'))).mode & 0o777).toString(8)).toBe('700')
    expect(await token('alice', ['--no-prompt'])).toEqual({ code: 0, out: first.out, err: '' })

    // As it is later: the token has run out, the sign-in has not.
    const kept = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...kept, expires_at: 0 }))
    const next = await token('alice', ['--no-prompt', '--json'])
    expect(next).toMatchObject({ code: 0, err: '' })
    const json = JSON.parse(next.out)
    expect(Object.keys(json)).toEqual(['access_token', 'scope', 'expires_at'])
    expect(json.scope).toBe('urn:mas:admin')
    expect(json.access_token).not.toBe(kept.access_token)
    expect(await api(json.access_token)).toBe(200)
    expect(JSON.parse(await readFile(file, 'utf8')).refresh_token).not.toBe(kept.refresh_token)

    const forgotten = await token('alice', ['--forget'])
    expect(forgotten).toMatchObject({ code: 0, out: '', err: 'Forgotten, here and at the server.\n' })
    expect(await keptFiles('alice')).toEqual([])
    expect(await api(json.access_token)).toBe(401)
  })

  test('a sign-in that the server has ended: somebody has to sign in anew, and --no-prompt says so', async () => {
    const command = begin(['token', '--server', address.url], { ...elsewhere('ended'), stdin: '' })
    await answerInBrowser(command, 'consent')
    expect((await command.ended).code).toBe(0)
    const kill = await latchkey(['manage', 'kill-sessions', '-c', 'server.yaml', 'alice'], server())
    expect(kill.code).toBe(0)
    const again = await token('ended', ['--no-prompt', '--fresh'])
    expect(again).toMatchObject({ code: 1, out: '' })
    expect(again.err).toMatch(/^Somebody has to sign in; .*--no-prompt\.\n$/)
  })

  test('who says no in the browser: exit code 1, nothing on standard output, nothing kept', async () => {
    const command = begin(['token', '--server', address.url], { ...elsewhere('no'), stdin: '' })
    await answerInBrowser(command, 'reject')
    const { code, out, err } = await command.ended
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toEndWith('The sign-in was refused in the browser.\n')
    expect(await keptFiles('no')).toEqual([])
  })

  test('--client-id with a secret from a file or standard input: nobody is asked', async () => {
    const secret = join(folder.path, 'secret')
    await writeFile(secret, `${CLIENT_SECRET}\n`)
    const named = await token('client', ['--client-id', CLIENT, '--client-secret-file', secret])
    expect(named).toMatchObject({ code: 0, err: '' })
    expect(await api(named.out.trim())).toBe(200)
    const read = await token(
      'client',
      ['--fresh', '--client-id', CLIENT, '--client-secret-file', '-'],
      CLIENT_SECRET,
    )
    expect(read).toMatchObject({ code: 0, err: '' })
    expect(read.out).not.toBe(named.out)
    // One for each scope is kept; a narrow one is no good for more.
    const narrow = [
      '--client-id',
      CLIENT,
      '--client-secret-file',
      secret,
      '--scope',
      'urn:latchkey:admin:read',
    ]
    const reading = await token('client', [...narrow, '--json'])
    const { access_token, scope } = JSON.parse(reading.out)
    expect(scope).toBe('urn:latchkey:admin:read')
    expect(await api(access_token)).toBe(200)
    const changing = await fetch(new URL('/api/admin/v1/user-registration-tokens', address.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
      body: '{}',
    })
    expect(changing.status).toBe(403)
    expect((await token('client', narrow)).out.trim()).toBe(access_token)
    expect((await token('client', ['--client-id', CLIENT, '--client-secret-file', secret])).out).toBe(
      read.out,
    )
    const wrong = await token(
      'client',
      ['--fresh', '--client-id', CLIENT, '--client-secret-file', '-'],
      'wrong',
    )
    expect(wrong).toMatchObject({ code: 1, out: '' })
    expect(wrong.err).toMatch(/^The server does not know the client 01J\S+, or its secret is wrong\./)
  })

  test('what cannot be: says what to do, exit code 1, nothing on standard output', async () => {
    const refused: [string[], RegExp][] = [
      [[], /^Name the server: latchkey token --server/],
      [['--server', 'http://auth.example.org/'], /clear text; use an https address/],
      [['--server', 'ftp://localhost/'], /clear text/],
      [['--server', 'https://user:pw@example.org/'], /^https:\S+ is not the address of a server/],
      [['--server', `${address.url}nowhere/`], /nowhere\/\S+ answers 404 and no discovery document/],
      [['--server', 'http://localhost:9/'], /^http:\/\/localhost:9 can't be reached/],
      [['--server', address.url, '--scope', 'ä'], /is not a list of scopes/],
      [['--server', address.url, '--client-secret-file', 'x'], /needs --client-id/],
      [['--server', address.url, '--client-id', 'x', '--client-secret-file', '/nowhere'], /ENOENT/],
      [['--server', address.url, '--client-id', '01J44Q10GR4AMTFZEEF936DTC0'], /does not know the client/],
    ]
    for (const [args, sentence] of refused) {
      const { code, out, err } = await latchkey(['token', ...args], elsewhere('bad'))
      expect({ args, code, out }).toEqual({ args, code: 1, out: '' })
      expect(err).toMatch(sentence)
      expect(err).not.toMatch(/^\s+at /m)
    }
    expect(await keptFiles('bad')).toEqual([])
  })

  test('a server that is not one: nothing that it says is obeyed, and secrets go nowhere else', async () => {
    const seen: string[] = []
    const evil = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch(request) {
        const { pathname, origin } = new URL(request.url)
        seen.push(`${pathname} ${await request.text()}`)
        if (pathname === '/.well-known/openid-configuration')
          return Response.json({
            issuer: origin,
            token_endpoint: `${origin}/token`,
            device_authorization_endpoint: `${origin}/device`,
          })
        if (pathname === '/token') return Response.redirect(`${origin}/elsewhere`, 307)
        if (pathname === '/device')
          return Response.json(
            { error: '\u001b[2Jnasty', error_description: '\u001b]0;title\u0007' },
            { status: 400 },
          )
        return new Response('no')
      },
    })
    const at = elsewhere('evil')
    const asked = await latchkey(['token', '--server', evil.url.href], at)
    expect(asked).toMatchObject({ code: 1, out: '' })
    expect(asked.err).toContain('nasty')
    for (const control of ['\u0007', '\u001b']) expect(asked.err).not.toContain(control)
    const redirected = await latchkey(
      ['token', '--server', evil.url.href, '--client-id', 'x', '--client-secret-file', '-'],
      { ...at, stdin: 'hush' },
    )
    expect(redirected).toMatchObject({ code: 1, out: '' })
    expect(seen.filter((line) => line.startsWith('/elsewhere'))).toEqual([])
    await evil.stop(true)
  })
})

test('serverAddress: a host name alone is https; a path ends with a slash', () => {
  expect(serverAddress('auth.example.org').href).toBe('https://auth.example.org/')
  expect(serverAddress('https://example.org/auth').href).toBe('https://example.org/auth/')
  expect(serverAddress('http://[::1]:8080').href).toBe('http://[::1]:8080/')
})
