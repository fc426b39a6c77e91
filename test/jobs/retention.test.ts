import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { ConfigSchema } from '../../src/config/schema.ts'
import { KEPT, STEPS } from '../../src/jobs/clean-up/steps.ts'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import { newId, uuidFromUlid } from '../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { legacyLogin, logoutLegacy, refreshLegacy } from '../support/legacy.ts'
import { introspect, signedInApp, staticClient, type TokenBody } from '../support/oauth.ts'
import { personalToken } from '../support/personal.ts'

const HOUR = 3600
const DAY = 24 * HOUR

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())
beforeEach(() => {
  harness.logged.length = 0
})

const cleanUp = (signal?: AbortSignal) => jobHandlers(harness.deps)['clean-up']({}, signal)
const count = async (table: string, where = 'true'): Promise<number> => {
  const [row] = await harness.database.sql.unsafe(
    `select count(*)::int as rows from latchkey.${table} where ${where}`,
  )
  return row?.rows
}
const refresh = async (clientId: string, token: string): Promise<TokenBody> => {
  const response = await harness.form('/oauth2/token', {
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: token,
  })
  expect(response.status).toBe(200)
  return (await response.json()) as TokenBody
}

describe('the catalogue', () => {
  const stepped = STEPS.flatMap(({ tables }) => tables)

  test('every table has a rule, or a reason why it has none', async () => {
    const tables = await harness.database.sql<{ name: string }[]>`
      select table_name as name from information_schema.tables
      where table_schema = 'latchkey' and table_type = 'BASE TABLE' order by 1`
    const known = new Set([...stepped, ...Object.keys(KEPT)])
    expect([...known].sort()).toEqual(tables.map(({ name }) => name))
    expect(Object.keys(KEPT).filter((name) => stepped.includes(name))).toEqual([])
  })

  test('docs/personal-data.md names every table and every period', async () => {
    const page = await Bun.file(new URL('../../docs/personal-data.md', import.meta.url)).text()
    const periods = Object.keys(ConfigSchema.properties.retention.properties).map((key) => `retention.${key}`)
    const names = [...new Set([...stepped, ...Object.keys(KEPT)]), ...periods]
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
  })
})

describe('tokens', () => {
  test('a replaced pair goes an hour after that, once the new one was used, and not before', async () => {
    const { clientId, tokens } = await signedInApp(harness, 'refresher')
    const second = await refresh(clientId, tokens.refresh_token)
    harness.clock.advance(3 * HOUR)
    await cleanUp()
    // The app may not have got the answer.
    expect(await count('tokens')).toBe(2)
    const again = await refresh(clientId, tokens.refresh_token)
    expect(again.refresh_token).toBe(second.refresh_token)
    expect(await introspect(harness, again.access_token)).toMatchObject({ active: true })
    await cleanUp()
    expect(await count('tokens')).toBe(1)
    const third = await refresh(clientId, again.refresh_token)
    await cleanUp()
    expect(await count('tokens')).toBe(2)
    expect(await introspect(harness, third.access_token)).toMatchObject({ active: true })
    harness.clock.advance(HOUR + 1)
    await cleanUp()
    expect(await count('tokens')).toBe(1)
  })

  test('a refresh token that nobody used for a year is still good, though its access token ran out', async () => {
    const { clientId, tokens } = await signedInApp(harness, 'sleeper')
    harness.clock.advance(365 * DAY)
    await cleanUp()
    await refresh(clientId, tokens.refresh_token)
  })

  test('tokens of older clients go by the same rules, and those that never run out stay', async () => {
    await signedInApp(harness, 'older')
    const first = await legacyLogin(harness, 'older', { refresh_token: true })
    await legacyLogin(harness, 'older')
    const { body } = await refreshLegacy(harness, String(first.refresh_token))
    harness.clock.advance(HOUR + 1)
    await cleanUp()
    expect(await count('compat_tokens')).toBe(3)
    await refreshLegacy(harness, String(body.refresh_token))
    harness.clock.advance(HOUR + 1)
    await cleanUp()
    expect(await count('compat_tokens')).toBe(3)
    expect(await count('compat_tokens', 'consumed_at is not null')).toBe(1)
    harness.clock.advance(365 * DAY)
    await cleanUp()
    expect(await count('compat_tokens', 'refresh_hash is null')).toBe(1)
  })

  test('what a client has for itself goes when its tokens are long over', async () => {
    const { client_id: clientId } = await staticClient(harness, [])
    const id = uuidFromUlid(clientId) ?? ''
    const { sql } = harness.database
    const now = harness.clock.now()
    const session = newId(now, harness.deps.random)
    await sql`
      insert into latchkey.oauth_sessions (id, client_id, scope, created_at) values (${session}, ${id}, '{}', ${now})`
    await sql`
      insert into latchkey.tokens (session_id, id, access_hash, expires_at)
      values (${session}, ${session}, ${Buffer.alloc(32)}, ${now})`
    harness.clock.advance(29 * DAY)
    await cleanUp()
    expect(await count('oauth_sessions', `id = '${session}'`)).toBe(1)
    harness.clock.advance(2 * DAY)
    await cleanUp()
    expect(await count('oauth_sessions', `id = '${session}'`)).toBe(0)
  })
})

describe('sessions', () => {
  test('go 30 days after they ended; a browser session waits for the app sessions that began in it', async () => {
    const { tokens, clientId, browser } = await signedInApp(harness, 'leaver')
    const { sql } = harness.database
    const [user] = await sql`select id from latchkey.users where username = 'leaver'`
    const mine = `user_id = '${user?.id}'`
    await sql`update latchkey.browser_sessions set finished_at = ${harness.clock.now()} where user_id = ${user?.id}`
    const legacy = await legacyLogin(harness, 'leaver')
    await logoutLegacy(harness, legacy.access_token)
    harness.clock.advance(31 * DAY)
    await cleanUp()
    expect([
      await count('compat_sessions', mine),
      await count('browser_sessions', mine),
      await count('oauth_sessions', mine),
    ]).toEqual([0, 1, 1])
    await harness.form('/oauth2/revoke', { client_id: clientId, token: tokens.refresh_token })
    harness.clock.advance(29 * DAY)
    await cleanUp()
    expect(await count('oauth_sessions', mine)).toBe(1)
    harness.clock.advance(2 * DAY)
    await cleanUp()
    expect([await count('oauth_sessions', mine), await count('browser_sessions', mine)]).toEqual([0, 0])
    expect((await browser.open('/login')).status).toBe(200)
  })

  test('forget after 30 days where they were used last, and go on', async () => {
    await signedInApp(harness, 'traveller')
    const { sql } = harness.database
    const now = harness.clock.now()
    const [user] = await sql<{ id: string }[]>`select id from latchkey.users where username = 'traveller'`
    await personalToken(harness, user?.id ?? '')
    await sql`
      update latchkey.personal_sessions set last_active_at = ${now}, last_active_ip = '192.0.2.7'
      where user_id = ${user?.id ?? ''}`
    for (const table of ['oauth_sessions', 'browser_sessions'] as const)
      await sql`
        update ${sql(`latchkey.${table}`)} set last_active_at = ${now}, last_active_ip = '192.0.2.7'
        where user_id = (select id from latchkey.users where username = 'traveller')`
    const seen = async () => [
      await count('oauth_sessions', "last_active_ip = '192.0.2.7'"),
      await count('browser_sessions', "last_active_ip = '192.0.2.7'"),
      await count('personal_sessions', "last_active_ip = '192.0.2.7'"),
    ]
    harness.clock.advance(29 * DAY)
    await cleanUp()
    expect(await seen()).toEqual([1, 1, 1])
    harness.clock.advance(2 * DAY)
    await cleanUp()
    expect(await seen()).toEqual([0, 0, 0])
    expect(await count('oauth_sessions', 'finished_at is null')).toBeGreaterThan(0)
  })
})

describe('the rest', () => {
  test('a password that was replaced goes with the next clean-up, the current one never', async () => {
    await signedInApp(harness, 'changer')
    const { sql } = harness.database
    const [user] = await sql`select id from latchkey.users where username = 'changer'`
    harness.clock.advance(60)
    const newer = newId(harness.clock.now(), harness.deps.random)
    await sql`
      insert into latchkey.user_passwords (id, user_id, version, hash, created_at)
      values (${newer}, ${user?.id}, 1, 'newer', ${harness.clock.now()})`
    harness.clock.advance(60)
    await cleanUp()
    const rows = await sql`select id from latchkey.user_passwords where user_id = ${user?.id}`
    expect(rows.map(({ id }) => id)).toEqual([newer])
  })

  test('the logs of accounts and administrators go after a year', async () => {
    const { sql } = harness.database
    const [user] = await sql`select id from latchkey.users where username = 'changer'`
    await sql`delete from latchkey.security_events`
    const now = harness.clock.now()
    const id = newId(now, harness.deps.random)
    await sql`
      insert into latchkey.security_events (id, user_id, kind, at, actor)
      values (${id}, ${user?.id}, 'password_changed', ${now}, 'self')`
    await sql`insert into latchkey.audit_log (id, action) values (${id}, 'lockUser')`
    const kept = async () => [await count('security_events'), await count('audit_log')]
    harness.clock.advance(364 * DAY)
    await cleanUp()
    expect(await kept()).toEqual([1, 1])
    harness.clock.advance(2 * DAY)
    await cleanUp()
    expect(await kept()).toEqual([0, 0])
  })

  test('an invitation goes a year after it is over; one that is good stays', async () => {
    const { sql } = harness.database
    const now = harness.clock.now()
    const add = async (columns: object) => {
      const id = newId(now, harness.deps.random)
      const row = { id, token_hash: Buffer.from(id), sealed_token: 'sealed', created_at: now, ...columns }
      await sql`insert into latchkey.registration_tokens ${sql(row)}`
    }
    await add({ revoked_at: now })
    await add({ expires_at: now })
    await add({ usage_limit: 1, times_used: 1, last_used_at: now })
    await add({ usage_limit: 2, times_used: 1, last_used_at: now })
    await add({})
    harness.clock.advance(364 * DAY)
    await cleanUp()
    expect(await count('registration_tokens')).toBe(5)
    harness.clock.advance(2 * DAY)
    await cleanUp()
    expect(await count('registration_tokens')).toBe(2)
  })

  test('more than one batch goes in one run', async () => {
    await harness.database.sql`
      insert into latchkey.used_jwts (digest, expires_at)
      select sha256(n::text::bytea), ${harness.clock.now()} from generate_series(1, 1200) n`
    harness.clock.advance(60)
    await cleanUp()
    expect(await count('used_jwts')).toBe(0)
    expect(harness.logged).toContainEqual(
      expect.objectContaining({
        event: 'clean_up.done',
        fields: expect.objectContaining({ used_jwts: 1200, complete: true }),
      }),
    )
  })

  test('what fails stops nothing else, and makes the job run again', async () => {
    const { sql } = harness.database
    await sql`insert into latchkey.used_jwts (digest, expires_at) values (${Buffer.alloc(32)}, ${harness.clock.now()})`
    harness.clock.advance(60)
    await sql`alter table latchkey.authorization_grants rename to elsewhere`
    try {
      await expect(cleanUp()).rejects.toThrow('clean-up of requests failed')
    } finally {
      await sql`alter table latchkey.elsewhere rename to authorization_grants`
    }
    expect(await count('used_jwts')).toBe(0)
  })

  test('a process that stops ends between two statements, and says that something is left', async () => {
    await cleanUp(AbortSignal.abort())
    expect(harness.logged).toEqual([{ level: 'info', event: 'clean_up.done', fields: { complete: false } }])
  })
})

test('retention: shorter periods of the configuration are followed', async () => {
  const other = await createHarness({ beside: harness, config: { retention: { session_addresses: DAY } } })
  await signedInApp(other, 'hasty')
  const { sql } = harness.database
  await sql`
    update latchkey.oauth_sessions set last_active_at = ${harness.clock.now()}, last_active_ip = '192.0.2.9'
    where user_id = (select id from latchkey.users where username = 'hasty')`
  harness.clock.advance(DAY + 1)
  await jobHandlers(other.deps)['clean-up']({})
  expect(await count('oauth_sessions', "last_active_ip = '192.0.2.9'")).toBe(0)
  await other.close()
})

test('retention: every period of the configuration is asked for by the clean-up, and none is there for show', async () => {
  const asked = new Set<string>()
  const retention = new Proxy(harness.deps.config.retention, {
    get(target, key) {
      asked.add(String(key))
      return Reflect.get(target, key)
    },
  })
  await jobHandlers({ ...harness.deps, config: { ...harness.deps.config, retention } })['clean-up']({})
  // Jobs that are over are the queue's own to remove.
  asked.add('finished_jobs')
  expect([...asked].sort()).toEqual(Object.keys(ConfigSchema.properties.retention.properties).sort())
})
