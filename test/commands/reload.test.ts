import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { moduleFile } from '../policy/opa/fixture.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { beginReady, endAll, freeAddress, latchkey, newFolder, type Running } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

const CLIENT = '01J44Q10GR4AMTFZEEF936DTCM'

let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase
let server: Running
beforeEach(async () => {
  folder = await newFolder()
  address = await freeAddress(['compat'])
  database = await createTestDatabase()
  expect((await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })).code).toBe(0)
})
afterEach(async () => {
  await endAll()
  await database.drop()
  await folder.remove()
})

const file = () => join(folder.path, 'config.yaml')
const options = () => ({
  cwd: folder.path,
  env: { ...address.env, LATCHKEY_DATABASE__URI: database.uri },
})
const start = async () => {
  server = await beginReady(['server'], options())
}

/** Changes the file. */
async function edit(change: (config: Record<string, unknown>) => void): Promise<void> {
  const config = parse(await readFile(file(), 'utf8'))
  change(config)
  await writeFile(file(), stringify(config))
}

/** What is logged until an event of this name comes; sends SIGHUP first. */
async function hangup(event: string): Promise<Record<string, unknown>[]> {
  const before = server.said().length
  server.kill('SIGHUP')
  for (;;) {
    const lines = server
      .said()
      .slice(before)
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line))
    if (lines.some(({ message }) => message === event)) return lines
    await Bun.sleep(20)
  }
}
const properties = (lines: Record<string, unknown>[], event: string) =>
  lines.find(({ message }) => message === event)?.properties as Record<string, unknown> | undefined

const get = async (path: string) => (await fetch(new URL(path, address.url))).text()
const tokenRequest = (secret: string) =>
  fetch(new URL('/oauth2/token', address.url), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: CLIENT,
      client_secret: secret,
    }).toString(),
  }).then(({ status }) => status)

const PROVIDER = {
  id: '01J44Q10GR4AMTFZEEF936DTCN',
  issuer: 'https://provider.test/',
  human_name: 'Harbour',
  client_id: 'us',
  token_endpoint_auth_method: 'none',
}

test('SIGHUP: clients, providers, policy, branding, limits, keys and templates are taken over without a restart', async () => {
  await start()
  const { keys } = JSON.parse(await get('/oauth2/keys.json'))
  expect(await tokenRequest('new-secret')).toBe(401)
  await writeFile(join(folder.path, 'extra.json'), '')
  await Bun.write(join(folder.path, 'own/pages/login.html'), '<p>Our own sign-in</p>')
  await edit((config) => {
    config.clients = [
      { client_id: CLIENT, client_auth_method: 'client_secret_post', client_secret: 'new-secret' },
    ]
    config.branding = { service_name: 'Rebranded' }
    config.templates = { overlay_path: 'own' }
    config.upstream_oauth2 = { providers: [PROVIDER] }
    config.policy = { data: { registration: { banned_usernames: { literals: ['unwanted'] } } } }
    config.rate_limiting = { login: { per_ip: { burst: 1, per_second: 0.0001 } } }
    const secrets = config.secrets as { keys: unknown[] }
    secrets.keys = secrets.keys.slice(1)
  })
  const lines = await hangup('config.reloaded')
  const { changed = '' } = properties(lines, 'config.reloaded') ?? {}
  expect(String(changed).split(', ').sort()).toEqual([
    'branding',
    'clients',
    'policy',
    'rate_limiting',
    'secrets',
    'templates',
    'upstream_oauth2',
  ])
  expect(JSON.parse(await get('/register/check?username=unwanted')).status).toBe('reserved')
  expect(await get('/register')).toContain('Continue with Harbour')
  expect(await tokenRequest('new-secret')).toBe(200)
  expect(await get('/login')).toContain('Our own sign-in')
  expect(await get('/register')).toContain('Rebranded')
  expect(JSON.parse(await get('/oauth2/keys.json')).keys).toHaveLength(keys.length - 1)
  const login = () =>
    fetch(new URL('/_matrix/client/v3/login', address.url), {
      method: 'POST',
      body: JSON.stringify({
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: 'nobody' },
        password: 'x',
      }),
    }).then(({ status }) => status)
  expect([await login(), await login()]).toEqual([403, 429])
  expect(lines.some(({ message }) => message === 'config.needs_restart')).toBe(false)
  // A script of the sign-up page is still there.
  const script = /\/assets\/[^"]*strength[^"]*\.js/.exec(await get('/register'))?.[0]
  if (script !== undefined) expect((await fetch(new URL(script, address.url))).status).toBe(200)
  server.kill('SIGTERM')
  expect((await server.ended).code).toBe(0)
})

test('SIGHUP with what a new start alone takes over: says so in one line, and goes on as it was', async () => {
  await start()
  await edit((config) => {
    config.matrix = { ...(config.matrix as object), homeserver: 'other.example.org' }
    config.secrets = { ...(config.secrets as object), encryption: 'ab'.repeat(32) }
    config.branding = { service_name: 'Rebranded' }
  })
  const lines = await hangup('config.needs_restart')
  expect(properties(lines, 'config.reloaded')).toMatchObject({ changed: 'branding' })
  expect(properties(lines, 'config.needs_restart')).toMatchObject({
    sections: 'matrix.homeserver, secrets.encryption',
  })
  expect(server.said()).not.toContain('ab'.repeat(32))
  expect(await get('/login')).toContain('Rebranded')
})

test('SIGHUP with a broken file, client or module: the old state stays whole, and the log says why', async () => {
  await start()
  const good = await readFile(file(), 'utf8')
  await writeFile(file(), `${good}\nbrandng: { service_name: Lost }\n`)
  const typo = properties(await hangup('config.reload_failed'), 'config.reload_failed')
  expect(JSON.stringify(typo)).toMatch(/brandng/)
  await writeFile(file(), '{ this is not yaml')
  await hangup('config.reload_failed')
  const broken = await moduleFile({ entrypoints: [] })
  await writeFile(file(), `${good}\nbranding: { service_name: Lost }\npolicy: { wasm_module: ${broken} }\n`)
  expect(JSON.stringify(properties(await hangup('config.reload_failed'), 'config.reload_failed'))).toMatch(
    /has no entry point/,
  )
  await writeFile(
    file(),
    `${good}\nbranding: { service_name: Lost }
clients: [{ client_id: ${CLIENT}, client_auth_method: none, id_token_signed_response_alg: ES512 }]\n`,
  )
  expect(JSON.stringify(properties(await hangup('config.reload_failed'), 'config.reload_failed'))).toMatch(
    /ES512/,
  )
  expect(await get('/login')).not.toContain('Lost')
  expect(await database.sql`select id from latchkey.clients`).toHaveLength(0)
  await writeFile(file(), `${good}\nbranding: { service_name: Found }\n`)
  await hangup('config.reloaded')
  expect(await get('/login')).toContain('Found')
})

test('SIGHUP to a worker: it goes on with the new configuration', async () => {
  await start()
  const worker = await beginReady(['worker'], options())
  await edit((config) => {
    config.branding = { service_name: 'Rebranded' }
  })
  server = worker
  expect(properties(await hangup('config.reloaded'), 'config.reloaded')).toMatchObject({
    changed: 'branding',
  })
  worker.kill('SIGTERM')
  expect((await worker.ended).code).toBe(0)
})

test('SIGHUP: where the new providers can not be written, the new clients are not either', async () => {
  await start()
  await database.sql.unsafe(`
    create function latchkey.refuse() returns trigger language plpgsql as $$ begin raise 'no providers today'; end $$;
    create trigger refuse before insert on latchkey.upstream_providers for each row execute function latchkey.refuse()`)
  await edit((config) => {
    config.clients = [
      { client_id: CLIENT, client_auth_method: 'client_secret_post', client_secret: 'new-secret' },
    ]
    config.upstream_oauth2 = {
      providers: [PROVIDER],
    }
  })
  const lines = await hangup('config.reload_failed')
  expect(JSON.stringify(lines)).toContain('no providers today')
  expect(await tokenRequest('new-secret')).toBe(401)
  const rows = await database.sql`select id from latchkey.clients where auth_method = 'client_secret_post'`
  expect(rows).toHaveLength(0)
})
