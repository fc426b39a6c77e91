import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { beginReady, endAll, freeAddress, latchkey, newFolder } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

const [KEPT, GONE] = ['01J44Q10GR4AMTFZEEF936DTCM', '01J44Q10GR4AMTFZEEF936DTCN'] as const

let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase
beforeAll(async () => {
  folder = await newFolder()
  address = await freeAddress()
  database = await createTestDatabase({ migrated: false })
  await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })
})
afterAll(async () => {
  await endAll()
  await database.drop()
  await folder.remove()
})

const client = (id: string, more: object = {}) => ({
  client_id: id,
  client_auth_method: 'client_secret_basic',
  client_secret: 'first-secret',
  client_name: id === KEPT ? 'Kept' : 'Gone',
  redirect_uris: ['https://app.example.org/callback'],
  ...more,
})
const options = (clients: object[]) => ({
  cwd: folder.path,
  env: {
    ...address.env,
    LATCHKEY_DATABASE__URI: database.uri,
    LATCHKEY_CLIENTS: JSON.stringify(clients),
  },
})
const sync = (clients: object[], ...args: string[]) => latchkey(['config', 'sync', ...args], options(clients))
const stored = async () => [
  ...(await database.sql`select to_jsonb(c) as row from latchkey.clients c order by id`),
]

test('--dry-run: does not migrate either, as MAS does', async () => {
  const { code, out, err } = await sync([client(KEPT)], '--dry-run')
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toMatch(/^The database is not up to date/)
  const [schema] = await database.sql`select to_regnamespace('latchkey') as name`
  expect(schema?.name).toBeNull()
})

test('migrates, adds, and says what it changed; a dry run says the same before and changes nothing', async () => {
  expect((await sync([client(KEPT), client(GONE)])).out).toBe(
    `Added Kept (${KEPT}).\nAdded Gone (${GONE}).\n`,
  )
  const before = await stored()
  const changed = [
    client(KEPT, { client_secret: 'next', client_uri: 'https://app.example.org/' }),
    client(GONE),
  ]
  const told = await sync(changed, '--dry-run')
  expect(told).toMatchObject({
    code: 0,
    err: '',
    out: `Would change Kept (${KEPT}): client_uri, client_secret.\n`,
  })
  expect(await stored()).toEqual(before)
  const json = JSON.parse((await sync(changed, '--dry-run', '--json')).out)
  expect(json).toEqual({
    dry_run: true,
    added: [],
    changed: [{ client_id: KEPT, client_name: 'Kept', fields: ['client_uri', 'client_secret'] }],
    unchanged: 1,
    left: [],
    providers: { added: [], changed: [], unchanged: 0, left: [] },
  })
  expect((await sync(changed)).out).toBe(`Changed Kept (${KEPT}): client_uri, client_secret.\n`)
  expect((await sync(changed)).out).toBe('The database has what the configuration says.\n')
})

test('a client that left the configuration: named at the start, removed with --prune and what hangs on it', async () => {
  const register = ['manage', 'register-user', 'alice']
  expect((await latchkey(register, options([client(KEPT)]))).code).toBe(0)
  const [alice] = await findUserByName(database.sql, 'alice', 'alice')
  const gone = uuidFromUlid(GONE) ?? ''
  await database.sql`insert into latchkey.oauth_sessions (id, client_id, user_id, scope, created_at)
    values (${gone}, ${gone}, ${alice?.id ?? null}, ${['openid']}, now())`
  // One that registered itself is nobody's to remove.
  const own = '018f0000-0000-7000-8000-000000000000'
  await database.sql`insert into latchkey.clients (id, auth_method, redirect_uris, grant_types, metadata, created_at)
    values (${own}, 'none', '{}', '{}', '{}', now())`

  const server = await beginReady(['server', '--no-worker'], options([client(KEPT)]))
  server.kill('SIGTERM')
  await server.ended
  const warnings = server
    .said()
    .split('\n')
    .filter((line) => line.includes('"clients.left"'))
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain(`Gone (${GONE})`)
  expect(warnings[0]).toContain('latchkey config sync --prune')

  const without = await sync([client(KEPT)])
  expect(without.out).toContain(
    `Gone (${GONE}) left the configuration and still works (1 active sign-in, 0 personal tokens and 0 consents); --prune removes it.\n`,
  )
  const before = await stored()
  const told = await sync([client(KEPT)], '--prune', '--dry-run')
  expect(told.out).toContain(
    `Would remove Gone (${GONE}), with 1 active sign-in, 0 personal tokens and 0 consents.\n`,
  )
  expect(await stored()).toEqual(before)
  const { removed } = JSON.parse((await sync([client(KEPT)], '--prune', '--json')).out)
  expect(removed).toEqual([
    { client_id: GONE, client_name: 'Gone', sessions: 1, personal_tokens: 0, consents: 0 },
  ])
  const ids = (await stored()).map(({ row }) => row.id)
  expect(ids.sort()).toEqual([own, uuidFromUlid(KEPT) ?? ''].sort())
  expect(await database.sql`select id from latchkey.oauth_sessions`).toHaveLength(0)
})

test('a provider: added, changed, switched off when it leaves the configuration, removed with its links by --prune', async () => {
  const id = '01J44Q10GR4AMTFZEEF936DTCP'
  const provider = (name: string) => ({
    id,
    human_name: name,
    issuer: 'https://sso.example.org/',
    client_id: 'ours',
    token_endpoint_auth_method: 'none',
  })
  const run = (providers: object[], ...args: string[]) => {
    const { cwd, env } = options([client(KEPT)])
    const upstream = { LATCHKEY_UPSTREAM_OAUTH2__PROVIDERS: JSON.stringify(providers) }
    return latchkey(['config', 'sync', ...args], { cwd, env: { ...env, ...upstream } })
  }
  expect((await run([provider('SSO')], '--dry-run')).out).toContain(`Would add the provider SSO (${id}).\n`)
  expect(await database.sql`select id from latchkey.upstream_providers`).toHaveLength(0)
  expect((await run([provider('SSO')])).out).toContain(`Added the provider SSO (${id}).\n`)
  expect((await run([provider('Company')])).out).toContain(
    `Changed the provider Company (${id}): human_name.\n`,
  )
  expect((await run([])).out).toContain(
    `the provider Company (${id}) left the configuration and is switched off (0 linked accounts); --prune removes it.\n`,
  )
  expect((await run([provider('Company')])).out).toContain(`Changed the provider Company (${id}): enabled.\n`)
  const { providers } = JSON.parse((await run([], '--prune', '--json')).out)
  expect(providers.removed).toEqual([{ provider_id: id, human_name: 'Company', links: 0 }])
  expect(await database.sql`select id from latchkey.upstream_providers`).toHaveLength(0)
})
