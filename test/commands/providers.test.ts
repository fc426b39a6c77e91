import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { createBrowser } from '../support/browser.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startProvider, type TestProvider } from '../support/provider.ts'
import { beginReady, endAll, freeAddress, latchkey, newFolder } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

const ID = '01JDFX2V9S6QK3W4Z5Y7T8R9PA'
const SECRET = 'a-secret-of-forty-characters-at-least-0001'

/** Two servers of one deployment: `here` has the admin API, people come to `there`. */
let here: Awaited<ReturnType<typeof freeAddress>>
let there: Awaited<ReturnType<typeof freeAddress>>
let folder: Awaited<ReturnType<typeof newFolder>>
let database: TestDatabase
let provider: TestProvider
let token: string

beforeAll(async () => {
  folder = await newFolder()
  database = await createTestDatabase()
  here = await freeAddress(['adminapi'])
  there = await freeAddress()
  provider = await startProvider({
    clients: [
      {
        client_id: 'latchkey',
        client_secret: SECRET,
        token_endpoint_auth_method: 'client_secret_basic',
        redirect_uris: [`${there.url}upstream/callback/${ID}`],
      },
    ],
  })
  await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })
  await Promise.all([beginReady(['server'], at(here)), beginReady(['server', '--no-worker'], at(there))])
  expect((await manage(['register-user', 'alice', '--admin', '--yes'])).code).toBe(0)
  token = (
    await manage(['issue-personal-token', 'alice', '--name', 'script', '--scope', 'urn:mas:admin'])
  ).out.trim()
})
afterAll(async () => {
  await endAll()
  await provider.close()
  await database.drop()
  await folder.remove()
})

const at = (address: typeof here) => ({
  cwd: folder.path,
  env: { ...address.env, LATCHKEY_DATABASE__URI: database.uri },
})
const manage = (args: string[], stdin = '') => latchkey(['manage', ...args], { ...at(here), stdin })

async function api(method: string, path: string, body?: object) {
  const response = await fetch(new URL(`api/admin/v1${path}`, here.url), {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    body: text === '' ? undefined : (JSON.parse(text) as { data: { id: string } }),
  }
}

const visitor = (address: typeof here) =>
  createBrowser((request) => fetch(request, { redirect: 'manual' }), { origin: new URL(address.url).origin })
const signInPage = async (address: typeof here) => (await visitor(address).open('/login')).text

/** Waits until the sign-in page of a server has a button, or has it no more. */
async function shows(address: typeof here, name: string, wanted: boolean): Promise<void> {
  while ((await signInPage(address)).includes(name) !== wanted) await Bun.sleep(100)
}

const settings = () => ({
  issuer: provider.issuer,
  human_name: 'Lighthouse',
  client_id: 'latchkey',
  client_secret: SECRET,
  token_endpoint_auth_method: 'client_secret_basic',
  scope: 'openid profile',
})

test('a provider made by the admin API of one server signs somebody in at another, without a restart; disabled, its button is gone from both', async () => {
  expect(await signInPage(there)).not.toContain('Lighthouse')
  const made = await api('POST', '/upstream-oauth-providers', { ...settings(), id: ID })
  expect(made.status).toBe(201)
  expect(await signInPage(here)).toContain('Lighthouse')
  await shows(there, 'Lighthouse', true)

  const [user] = await database.sql<{ id: string }[]>`select id from latchkey.users where username = 'alice'`
  expect(user).toBeDefined()
  const { body } = await api('GET', '/users/by-username/alice')
  const link = { user_id: body?.data.id, provider_id: ID, subject: 'sub-of-alice' }
  expect((await api('POST', '/upstream-oauth-links', link)).status).toBe(201)

  provider.account = { sub: 'sub-of-alice', name: 'Alice' }
  const browser = visitor(there)
  const page = await browser.open('/login')
  const [, button = ''] = /href="(\/upstream\/authorize\/[^"]+)"/.exec(page.text) ?? []
  const away = await browser.open(button)
  expect(away.url.origin).toBe(provider.issuer)
  const back = await provider.visit(away.url)
  await browser.open(back.url.href)
  expect((await browser.open('/account/')).text).toContain('@alice:')

  expect((await api('POST', `/upstream-oauth-providers/${ID}/disable`)).status).toBe(200)
  expect(await signInPage(here)).not.toContain('Lighthouse')
  await shows(there, 'Lighthouse', false)
  expect((await api('POST', `/upstream-oauth-providers/${ID}/enable`)).status).toBe(200)
})

test('latchkey doctor upstream and config check --deep look at it; doctor upstream <id> at it alone', async () => {
  const doctor = await latchkey(['doctor', 'upstream', ID, '--json'], at(here))
  const { findings } = JSON.parse(doctor.out) as { findings: { check: string; subject?: string }[] }
  expect(findings.find(({ check }) => check === 'upstream_client')).toMatchObject({
    subject: ID,
    verdict: 'ok',
  })
  const other = await latchkey(['doctor', 'upstream', ID.replace(/.$/, 'B')], at(here))
  expect([other.code, other.out]).toEqual([1, expect.stringContaining(`${ID} (Lighthouse)`)])
  const deep = await latchkey(['config', 'check', '--deep'], at(here))
  expect(deep.out + deep.err).toContain(provider.issuer)
  expect(doctor.out + deep.out + deep.err).not.toContain(SECRET)
})

test('latchkey manage does the same: --json, --dry-run, refusals with what to do, and the servers see it', async () => {
  const text = JSON.stringify({ ...settings(), human_name: 'Harbour light' })
  const tried = await manage(['create-upstream-provider', '--dry-run', '--json'], text)
  expect([tried.code, JSON.parse(tried.out)]).toEqual([0, { dry_run: true }])
  const made = await manage(['create-upstream-provider', '--json'], text)
  const { id } = JSON.parse(made.out) as { id: string }
  expect([made.code, made.out.includes(SECRET)]).toEqual([0, false])
  await shows(there, 'Harbour light', true)

  const list = await manage(['list-upstream-providers', '--json'])
  const records = JSON.parse(list.out) as { id: string; human_name: string; links: number }[]
  expect(records.map(({ id, human_name, links }) => [id, human_name, links])).toEqual([
    [ID, 'Lighthouse', 1],
    [id, 'Harbour light', 0],
  ])
  expect((await manage(['update-upstream-provider', id], 'human_name: Beacon')).out).toBe(`Changed ${id}.\n`)
  await shows(there, 'Beacon', true)
  const tryOff = await manage(['disable-upstream-provider', id, '--dry-run'])
  expect(tryOff.out).toBe(`Would take ${id} away; its links stay.\n`)
  const offered = await database.sql`
    select from latchkey.upstream_providers where human_name = 'Beacon' and disabled_at is null`
  expect(offered).toHaveLength(1)
  expect((await manage(['disable-upstream-provider', id])).code).toBe(0)
  await shows(there, 'Beacon', false)
  await shows(here, 'Beacon', false)
  expect((await manage(['enable-upstream-provider', id])).code).toBe(0)
  await shows(here, 'Beacon', true)

  for (const [args, stdin, said] of [
    [['create-upstream-provider'], '{"client_id": "x"}', 'token_endpoint_auth_method is missing'],
    [['create-upstream-provider'], 'a: [', 'standard input is not usable'],
    [['create-upstream-provider'], '- a', 'the settings of one provider'],
    [['create-upstream-provider'], text.replace('{', `{"id":"${ID}",`), 'There is a provider of this id'],
    [['update-upstream-provider', id], 'issuer: null', 'issuer is missing'],
    [['disable-upstream-provider', '01J00000000000000000000000'], '', 'There is no provider'],
    [['delete-upstream-provider', ID], '', '1 linked account, of which 1 without a password'],
  ] as const) {
    const refused = await manage([...args], stdin)
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining(said)])
    expect(refused.err).not.toContain(SECRET)
  }
  const would = await manage(['delete-upstream-provider', ID, '--links', '--dry-run', '--json'])
  expect(JSON.parse(would.out)).toEqual({ id: ID, links: 1, stranded: 1, dry_run: true })
  expect((await manage(['delete-upstream-provider', ID, '--links'])).code).toBe(0)
  expect((await manage(['delete-upstream-provider', id])).code).toBe(0)
  expect((await manage(['list-upstream-providers'])).out).toBe('')
})
