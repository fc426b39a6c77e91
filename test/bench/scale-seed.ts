import type { Sql } from '../../sql/connect.ts'
import { tokenDigest } from '../../src/crypto/tokens.ts'
import { seededToken } from './seed.ts'

/** How much is in a database. */
export interface Size {
  users: number
  /** Pairs of tokens; the last one of each session is alive. */
  tokens: number
  /** Pairs of each session. */
  perSession: number
}

/** Sessions whose tokens are known, from all over the table: `seededToken` of 0 to this. */
export const KNOWN = 10_000

/** Unique columns of tokens. */
const DIGESTS = ['access_hash', 'refresh_hash']

const START = Date.parse('2026-01-01T00:00:00Z')
const YEAR = 31_000_000

/** The username of a person. */
export const nameOf = (index: number): string => `person${index}`

/** Settings of PostgreSQL under which it is filled: nothing of it goes to the log, and nothing must survive a fault. */
export const SEEDING = [
  'fsync=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'archive_mode=off',
  'autovacuum=off',
  'max_wal_size=8GB',
  'shared_buffers=1GB',
  'max_parallel_maintenance_workers=2',
]

/** Fills a database. `hash`: the password of everybody, as it is stored. */
export async function seedSize(sql: Sql, clientId: string, size: Size, hash: string): Promise<void> {
  const sessions = size.tokens / size.perSession
  // Written at once at the end: row by row they would take minutes.
  const indexes = await sql<{ definition: string; name: string }[]>`
    select indexdef as definition, schemaname || '.' || quote_ident(indexname) as name from pg_indexes
    where schemaname = 'latchkey' and tablename in ('users', 'user_passwords', 'oauth_sessions', 'tokens')
      and not exists (select from pg_constraint c where c.conname = indexname)`
  for (const { name } of indexes) await sql.unsafe(`drop index ${name}`)
  // Of the constraints those that come in no order; ids are in that of time, and only grow at their end.
  for (const column of DIGESTS)
    await sql.unsafe(`alter table latchkey.tokens drop constraint tokens_${column}_key`)
  await sql`drop table if exists public.known`
  await sql`create table public.known (session bigint primary key, access bytea, refresh bytea)`
  for (let from = 0; from < KNOWN; from += 1000) {
    const numbers = Array.from({ length: 1000 }, (_, offset) => from + offset)
    const digests = (kind: 'mat' | 'mar') =>
      numbers.map((index) => tokenDigest(seededToken(kind, index)).toHex())
    await sql`
      insert into public.known
      select floor(i * ${sessions / KNOWN}::float8)::bigint, decode(a, 'hex'), decode(r, 'hex')
      from unnest(${numbers}::int[], ${digests('mat')}::text[], ${digests('mar')}::text[]) as k (i, a, r)`
  }
  /** An id of the row `number` of a table, in the order of time. */
  const id = (table: string, number: string, rows: number) =>
    `(lpad(to_hex(${START} + (${number} * ${(YEAR * 1000) / rows}::float8)::bigint), 12, '0')
      || substr(md5('${table}' || ${number}), 1, 20))::uuid`
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    // What is written in the transaction that emptied the table needs no log.
    await tx`truncate latchkey.users cascade`
    await tx.unsafe(`
      insert into latchkey.users (id, username, username_folded, created_at, provisioned_at)
      select ${id('u', 'i', size.users)}, 'person' || i, 'person' || i, now(), now()
      from generate_series(0, ${size.users - 1}) i`)
    await tx.unsafe(
      `insert into latchkey.user_passwords (id, user_id, version, hash, created_at)
      select ${id('p', 'i', size.users)}, ${id('u', 'i', size.users)}, 1, $1, now()
      from generate_series(0, ${size.users - 1}) i`,
      [hash],
    )
    await tx.unsafe(
      `insert into latchkey.oauth_sessions (id, client_id, user_id, scope, device_id, created_at, last_active_at)
      select ${id('s', 'i', sessions)}, $1, ${id('u', `(i % ${size.users})`, size.users)},
        array['openid', 'urn:matrix:client:api:*', 'urn:matrix:client:device:D' || lpad(i::text, 9, '0')],
        'D' || lpad(i::text, 9, '0'), now(), now()
      from generate_series(0, ${sessions - 1}) i`,
      [clientId],
    )
    const last = size.perSession - 1
    await tx.unsafe(`
      insert into latchkey.tokens
        (session_id, id, access_hash, refresh_hash, expires_at, first_used_at, consumed_at, next_id)
      select ${id('s', 's', sessions)}, ${id('t', 'i', size.tokens)},
        coalesce(k.access, sha256(('a' || i)::bytea)), coalesce(k.refresh, sha256(('r' || i)::bytea)),
        now() + interval '1 day', now(), case when n < ${last} then now() end,
        case when n < ${last} then ${id('t', '(i + 1)', size.tokens)} end
      from (select i, i / ${size.perSession} as s, i % ${size.perSession} as n
          from generate_series(0::bigint, ${size.tokens - 1}) i) g
        left join public.known k on k.session = s and n = ${last}`)
  })
  const made = [
    ...DIGESTS.map(
      (column) => `alter table latchkey.tokens add constraint tokens_${column}_key unique (${column})`,
    ),
    ...indexes.map(({ definition }) => definition),
  ]
  for (const statement of made) {
    await sql.begin(async (tx) => {
      await tx`set local maintenance_work_mem = '2GB'`
      await tx.unsafe(statement)
    })
  }
  await sql`vacuum (analyze, parallel 2)`
}
