import type { Db, Sql } from '../../sql/connect.ts'
import type { Fragment } from '../../sql/page.ts'
import { newToken, tokenDigest } from '../../src/crypto/tokens.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { seededRandom } from './seed.ts'

/** What the lists are asked about. Ids are ULIDs. */
export interface Known {
  token: string
  user: string
  client: string
  /** One that few people use. */
  rareClient: string
  browser: string
}

/** When the first account was made. The others come one after the other, a year for all. */
const START = Date.parse('2026-01-01T00:00:00Z')
const YEAR = 31_000_000

/** Times that filters name: soon after the first account, in the middle, and shortly before the last one. */
export const timesOf = (users: number) => {
  const time = (part: number) => new Date(START + YEAR * 1000 * part).toISOString()
  return { users, early: time(0.01), middle: time(0.5), late: time(0.99) }
}

/** How ids and times of a table with `rows` rows are made in SQL from the number `i` of a row. */
function rowsOf(sql: Db, table: string, rows: number): Record<'id' | 'at' | 'every', Fragment> {
  const step = YEAR / rows
  return {
    // In the order of time: ids hold it in their first 48 bits.
    id: sql`(lpad(to_hex(${START}::bigint + (i * ${step * 1000}::float8)::bigint), 12, '0')
      || substr(md5(${table} || i), 1, 20))::uuid`,
    at: sql`to_timestamp(${START / 1000}::float8 + i * ${step}::float8)`,
    every: sql`generate_series(0, ${Math.round(rows) - 1}) i`,
  }
}

/** A third has ended; of the rest some were never seen again, some for a month, and half in the last month of the year. */
const state = (sql: Db, at: Fragment) => sql`
  ${at}, case when i % 3 = 0 then ${at} + interval '1 day' end, 'Mozilla/5.0',
  case when i % 3 > 0 and i % 2 = 0
      then to_timestamp(${START / 1000 + YEAR}::float8) - ('x' || substr(md5('a' || i), 1, 6))::bit(24)::int % 720 * interval '1 hour'
    when i % 10 > 0 then ${at} + ('x' || substr(md5('a' || i), 1, 6))::bit(24)::int % 720 * interval '1 hour' end,
  '192.0.2.1'::inet`

/**
 * Makes the people: one in a hundred locked, one in fifty deactivated, 20 admins; each with an address, a browser, one and
 * a half apps and half an older client. A third has ended; what goes on was active at some time since.
 */
export async function seedPeople(sql: Sql, users: number): Promise<Known> {
  // Written at once at the end: row by row they would take minutes.
  const indexes = await sql<{ definition: string; name: string }[]>`
    select indexdef as definition, schemaname || '.' || quote_ident(indexname) as name from pg_indexes
    where schemaname = 'latchkey' and tablename in ('users', 'user_emails', 'browser_sessions', 'oauth_sessions',
      'compat_sessions', 'audit_log', 'security_events')
      and not exists (select from pg_constraint c where c.conname = indexname)`
  for (const { name } of indexes) await sql.unsafe(`drop index ${name}`)
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await seedClients(tx)
    await seedAccounts(tx, users)
    await seedSessions(tx, users)
    await seedLogs(tx, users)
  })
  for (const { definition } of indexes) await sql.unsafe(definition)
  await sql`vacuum analyze`
  return knownOf(sql, users)
}

const CLIENTS = 5000

async function seedClients(tx: Db): Promise<void> {
  const { id, at, every } = rowsOf(tx, 'clients', CLIENTS)
  await tx`
    insert into latchkey.clients (id, is_static, auth_method, redirect_uris, grant_types, metadata, created_at)
    select ${id}, i < 5, 'none', array['https://app' || i || '.example.com/'],
      array['authorization_code', 'refresh_token'],
      jsonb_build_object('client_name', 'App ' || i, 'client_uri', 'https://app' || i || '.example.com/'), ${at}
    from ${every}`
}

async function seedAccounts(tx: Db, users: number): Promise<void> {
  const { id, at, every } = rowsOf(tx, 'users', users)
  await tx`
    insert into latchkey.users (id, username, username_folded, created_at, locked_at, deactivated_at, is_admin)
    select ${id}, name, name, ${at}, case when i % 100 = 7 then ${at} end, case when i % 50 = 9 then ${at} end,
      i % ${users / 20}::int = 3
    from (select i, (array['anna', 'ben', 'clara', 'david', 'emma', 'felix', 'greta', 'hugo', 'ida', 'jonas'])[1 + i % 10]
      || '.' || substr(md5('name' || i), 1, 6) || i as name from ${every}) named`
  await tx`
    create unlogged table bench.people as
    select id, (row_number() over (order by id) - 1)::int as n from latchkey.users`
  await tx`alter table bench.people add primary key (n)`
  const emails = rowsOf(tx, 'emails', users)
  await tx`
    insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
    select ${emails.id}, p.id, 'user' || i || '@example.com', 'user' || i || '@example.com', ${emails.at}
    from ${emails.every} join bench.people p on p.n = i`
}

async function seedSessions(tx: Db, users: number): Promise<void> {
  const browsers = rowsOf(tx, 'browsers', users)
  await tx`
    insert into latchkey.browser_sessions
      (id, user_id, secret_hash, authenticated_at, created_at, finished_at, user_agent, last_active_at, last_active_ip)
    select ${browsers.id}, p.id, sha256(('b' || i)::bytea), now(), ${state(tx, browsers.at)}
    from ${browsers.every} join bench.people p on p.n = i`
  await tx`
    create unlogged table bench.browsers as
    select id, (row_number() over (order by id) - 1)::int as n from latchkey.browser_sessions`
  await tx`
    create unlogged table bench.clients as
    select id, (row_number() over (order by id) - 1)::int as n from latchkey.clients`
  const apps = rowsOf(tx, 'apps', users * 1.5)
  // Every other one is of the app that most people have, the rest of few or many.
  await tx`
    insert into latchkey.oauth_sessions
      (id, client_id, user_id, browser_session_id, scope, device_id, created_at, finished_at, user_agent, last_active_at,
      last_active_ip)
    select ${apps.id}, c.id, p.id, b.id,
      array['openid', 'urn:matrix:client:api:*', 'urn:matrix:client:device:D' || lpad(i::text, 9, '0')]
        || case when i % 100000 = 5 then array['urn:mas:admin'] else '{}'::text[] end,
      'D' || lpad(i::text, 9, '0'), ${state(tx, apps.at)}
    from ${apps.every}
      join bench.people p on p.n = (i * 7919::bigint) % ${users}::int
      join bench.browsers b on b.n = p.n
      join bench.clients c
        on c.n = case when i % 2 = 0 then 1000 else floor(${CLIENTS}::int * power(((i * 31::bigint) % 1000) / 1000.0, 3)) end`
  const legacy = rowsOf(tx, 'compat', users / 2)
  await tx`
    insert into latchkey.compat_sessions
      (id, user_id, device_id, created_at, finished_at, user_agent, last_active_at, last_active_ip)
    select ${legacy.id}, p.id, 'C' || i, ${state(tx, legacy.at)}
    from ${legacy.every} join bench.people p on p.n = (i * 104729::bigint) % ${users}::int`
}

async function seedLogs(tx: Db, users: number): Promise<void> {
  const audit = rowsOf(tx, 'audit', users / 5)
  await tx`
    insert into latchkey.audit_log (id, action, actor_user_id, target_type, target_id)
    select ${audit.id}, case when i % 1000 = 1 then 'deleteUser' else 'lockUser' end, a.id, 'user', p.id
    from ${audit.every} join bench.people p on p.n = i * 5 cross join (select id from bench.people where n = 3) a`
  const events = rowsOf(tx, 'events', users)
  await tx`
    insert into latchkey.security_events (id, user_id, kind, at, actor)
    select ${events.id}, p.id, case when i % 5000 = 1 then 'code_replayed' else 'signed_in' end, ${events.at}, 'self'
    from ${events.every} join bench.people p on p.n = i`
}

/** What the lists are asked about, and a token that may ask. */
async function knownOf(sql: Sql, users: number): Promise<Known> {
  const token = newToken('mpt', seededRandom('lists'))
  const [row] = await sql<{ admin: string; user: string; client: string; rare: string; browser: string }[]>`
    select (select id from latchkey.users where is_admin limit 1) as admin, s.user_id as user, s.client_id as client,
      s.browser_session_id as browser,
      (select client_id from latchkey.oauth_sessions group by client_id order by count(*), client_id limit 1) as rare
    from latchkey.oauth_sessions s where s.id > (select id from bench.people where n = ${users >> 1})
      and s.client_id = (select client_id from latchkey.oauth_sessions group by client_id order by count(*) desc limit 1)
    order by s.id limit 1`
  if (!row) throw new Error('nothing was seeded')
  const session = '01900000-0000-7000-8000-000000000001'
  await sql`
    insert into latchkey.personal_sessions (id, owner_user_id, user_id, human_name, scope, created_at)
    values (${session}, ${row.admin}, ${row.admin}, 'bench', ${['urn:mas:admin']}, now())`
  await sql`
    insert into latchkey.personal_tokens (id, session_id, token_hash, created_at)
    values (${session}, ${session}, ${tokenDigest(token)}, now())`
  const { user, client, rare, browser } = row
  return {
    token,
    user: ulidFromUuid(user),
    client: ulidFromUuid(client),
    rareClient: ulidFromUuid(rare),
    browser: ulidFromUuid(browser),
  }
}
