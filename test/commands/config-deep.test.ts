import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createFakeHomeserver } from '../support/fake-homeserver.ts'
import { freeAddress, latchkey, newFolder } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

const SECRET = 'test-shared-secret-of-matrix'

const fake = createFakeHomeserver({ serverName: 'example.test', secret: SECRET })
/** What the homeserver answers to a token that nobody has: 401 when it could ask us. */
let whoami = 401
let synapse: Bun.Server<undefined>
let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase
let empty: TestDatabase
beforeAll(async () => {
  synapse = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/_matrix/client/v3/account/whoami')
        return Response.json({ errcode: 'M_UNKNOWN_TOKEN' }, { status: whoami })
      if (pathname === '/_matrix/client/versions') return Response.json({ versions: ['v1.15'] })
      if (pathname === '/_matrix/client/v1/auth_metadata') return Response.json({ issuer: address.url })
      return fake.fetch(request)
    },
  })
  folder = await newFolder()
  address = await freeAddress()
  database = await createTestDatabase()
  empty = await createTestDatabase({ migrated: false })
  await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })
})
afterAll(async () => {
  await synapse.stop(true)
  await database.drop()
  await empty.drop()
  await folder.remove()
})

const options = (env: Record<string, string> = {}) => ({
  cwd: folder.path,
  env: {
    LATCHKEY_HTTP__PUBLIC_BASE: address.url,
    LATCHKEY_DATABASE__URI: database.uri,
    LATCHKEY_MATRIX__KIND: 'synapse',
    LATCHKEY_MATRIX__HOMESERVER: 'example.test',
    LATCHKEY_MATRIX__ENDPOINT: synapse.url.href,
    LATCHKEY_MATRIX__SECRET: SECRET,
    ...env,
  },
})
const check = (env: Record<string, string> = {}) => latchkey(['config', 'check', '--deep'], options(env))

test('config check --deep: everything is tried, and nothing is changed', async () => {
  const { code, out, err } = await check()
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(/^ok {8}database: PostgreSQL /m)
  expect(out).toEndWith('The configuration can be used: config.yaml.\n')
  expect(await database.sql`select * from latchkey.settings`).toHaveLength(0)
  const json = JSON.parse((await latchkey(['config', 'check', '--deep', '--json'], options())).out)
  expect(json.findings.map((one: Record<string, string>) => `${one.check} ${one.verdict}`)).toEqual([
    'database ok',
    'clock ok',
    'keys ok',
    'queue warning',
    'mail skipped',
    'secret_to_homeserver ok',
    'secret_from_homeserver ok',
  ])
})

test('config check --deep: what does not work is named with the reason, exit code 1, no secret, no stack', async () => {
  const smtp = (port: number) => ({
    LATCHKEY_EMAIL: JSON.stringify({
      from: 'a@example.org',
      reply_to: 'a@example.org',
      transport: 'smtp',
      mode: 'plain',
      hostname: '127.0.0.1',
      port,
    }),
  })
  const failing: [Record<string, string>, RegExp][] = [
    [
      { LATCHKEY_DATABASE__URI: 'postgresql://u:hushhush@127.0.0.1:9/x' },
      /^failed {4}database: The database at 127\.0\.0\.1:9 can't be reached/m,
    ],
    [{ LATCHKEY_MATRIX__SECRET: 'hushhush' }, /^failed {4}secret_to_homeserver: .*refuses/m],
    [
      { LATCHKEY_MATRIX__ENDPOINT: 'http://127.0.0.1:9/' },
      /^failed {4}secret_to_homeserver: .*127\.0\.0\.1:9/m,
    ],
    [smtp(9), /^failed {4}mail: /m],
  ]
  for (const [env, sentence] of failing) {
    const { code, out, err } = await check(env)
    expect({ env, code }).toEqual({ env, code: 1 })
    expect(out).toMatch(sentence)
    expect(out).not.toContain('can be used')
    expect(err).toMatch(/^\d of \d checks failed: .*\.\n$/)
    expect(out + err).not.toMatch(/hushhush|^\s+at /m)
  }
})

test('config check --deep: each provider is asked; the ones that do not work are named, no secret is told', async () => {
  const key = { kty: 'EC', crv: 'P-256', use: 'sig', kid: 'a', x: 'x', y: 'y' }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { pathname, origin } = new URL(request.url)
      if (pathname === '/keys') return Response.json({ keys: [key] })
      if (pathname === '/token') return Response.json({ error: 'invalid_grant' }, { status: 400 })
      if (pathname.startsWith('/down/')) return new Response('', { status: 500 })
      return Response.json({
        issuer: `${origin}/${pathname.startsWith('/good/') ? 'good' : 'hushhush'}`,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        jwks_uri: `${origin}/keys`,
      })
    },
  })
  const issuers = ['good', 'other', 'down'].map((name) => `${server.url.origin}/${name}`)
  const providers = [...issuers, 'http://127.0.0.1:9'].map((issuer, index) => ({
    id: `01J44Q10GR4AMTFZEEF936DT0${index}`,
    issuer,
    client_id: 'ours',
    client_secret: 'hushhush',
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: 'ES256',
  }))
  const env = { LATCHKEY_UPSTREAM_OAUTH2__PROVIDERS: JSON.stringify(providers) }
  const { code, out, err } = await latchkey(['config', 'check', '--deep', '--json'], options(env))
  await server.stop(true)
  const found = (verdict: string, check = /^upstream_/) =>
    JSON.parse(out)
      .findings.filter(
        (one: Record<string, string>) => check.test(one.check ?? '') && one.verdict === verdict,
      )
      .map((one: Record<string, string>) => `${one.check} ${one.subject}`)
  expect(found('failed')).toEqual(providers.slice(1).map(({ id }) => `upstream_discovery ${id}`))
  for (const check of ['discovery', 'keys', 'client'])
    expect(found('ok')).toContain(`upstream_${check} ${providers[0]?.id}`)
  expect({ code, err }).toEqual({
    code: 1,
    err: expect.stringMatching(/^3 of \d+ checks failed: upstream_discovery\.\n$/),
  })
  expect(out + err).not.toContain('hushhush')
})

test('config check --deep: what a start will mend, or what waits for the server, is a warning', async () => {
  const pending = await check({ LATCHKEY_DATABASE__URI: empty.uri })
  expect(pending.code).toBe(0)
  expect(pending.out).toMatch(/^warning {3}database: .*to be applied: \d+/m)
  const [schema] = await empty.sql`select to_regnamespace('latchkey') as name`
  expect(schema?.name).toBeNull()
  whoami = 503
  const unreached = await check()
  whoami = 401
  expect(unreached.code).toBe(0)
  expect(unreached.out).toMatch(/^warning {3}secret_from_homeserver: .*does not reach it/m)
})

test('config dump: masked unless --show-secrets; what is written can be used as a configuration', async () => {
  const shown = await latchkey(['config', 'dump'], options())
  expect(shown).toMatchObject({ code: 0, err: '' })
  expect(shown.out).toContain('homeserver: example.test')
  expect(shown.out).not.toMatch(/PRIVATE KEY|test-shared-secret/)
  const uri = new URL(database.uri)
  if (uri.password !== '') expect(shown.out).not.toContain(uri.password)
  const at = join(await mkdtemp(join(folder.path, 'dump-')), 'all.yaml')
  expect((await latchkey(['config', 'dump', '--show-secrets', '-o', at], options())).code).toBe(0)
  expect(((await stat(at)).mode & 0o777).toString(8)).toBe('600')
  expect(await readFile(at, 'utf8')).toContain(SECRET)
  const again = { cwd: folder.path, env: {} }
  expect(await latchkey(['config', 'check', '-c', at], again)).toMatchObject({ code: 0, err: '' })
  const once = await latchkey(['config', 'dump', '--show-secrets', '-c', at], again)
  expect(once.out).toBe(await readFile(at, 'utf8'))
  expect((await latchkey(['config', 'dump', '-o', at], options())).err).toMatch(/exists already/)
})
