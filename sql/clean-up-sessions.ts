import type { Db } from './connect.ts'

/** Ids of one batch: small enough to hold no lock for long. */
type Batch = { id: string }[]

/** Deletes sessions of apps that ended before `before`, with their tokens, at most `limit`. */
export const deleteEndedOauthSessions = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.oauth_sessions where id in (
    select id from latchkey.oauth_sessions where finished_at < ${before} limit ${limit})
  returning id`

/**
 * Deletes sessions that a client has for itself, that began before `before` and have no token left, at most `limit`: it
 * gets a new one with each token.
 */
export const deleteSpentClientSessions = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.oauth_sessions where id in (
    select s.id from latchkey.oauth_sessions s
    where s.user_id is null and s.finished_at is null and s.created_at < ${before}
      and not exists (select from latchkey.tokens t where t.session_id = s.id)
    limit ${limit})
  returning id`

/** Deletes sessions of legacy clients that ended before `before`, with their tokens, at most `limit`. */
export const deleteEndedCompatSessions = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.compat_sessions where id in (
    select id from latchkey.compat_sessions where finished_at < ${before} limit ${limit})
  returning id`

/** Deletes sessions of personal tokens that ended before `before`, with their tokens, at most `limit`. */
export const deleteEndedPersonalSessions = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.personal_sessions where id in (
    select id from latchkey.personal_sessions where finished_at < ${before} limit ${limit})
  returning id`

/**
 * Deletes browser sessions that ended before `before`, at most `limit`, but for those that a session of an app began
 * in: who signed out of which app with them is still to be told.
 */
export const deleteEndedBrowserSessions = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.browser_sessions where id in (
    select b.id from latchkey.browser_sessions b
    where b.finished_at < ${before}
      and not exists (select from latchkey.oauth_sessions s where s.browser_session_id = b.id)
      and not exists (select from latchkey.compat_sessions s where s.browser_session_id = b.id)
    limit ${limit})
  returning id`

/** Deletes personal tokens that were revoked before `before`, at most `limit`; their session has another one. */
export const deleteRevokedPersonalTokens = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.personal_tokens where id in (
    select id from latchkey.personal_tokens where revoked_at < ${before} limit ${limit})
  returning id`

/** Tables that are walked through part by part, since an index of what is looked for would slow every use of them down. */
export type WalkedTable =
  | 'tokens'
  | 'compat_tokens'
  | 'oauth_sessions'
  | 'compat_sessions'
  | 'personal_sessions'
  | 'browser_sessions'

/** How many blocks (8 kB) of the disk a table has. */
export const countBlocks = (sql: Db, table: WalkedTable) => sql<{ blocks: number }[]>`
  select (pg_relation_size(${`latchkey.${table}`}::regclass) / current_setting('block_size')::int)::int as blocks`

/** Some of a table's blocks: from one on, and before another. */
export interface Blocks {
  from: number
  to: number
}

/** PostgreSQL reads these blocks and no others. */
const within = (sql: Db, { from, to }: Blocks) =>
  sql`ctid >= ${`(${from},0)`}::tid and ctid < ${`(${to},0)`}::tid`

const tokenTable = (sql: Db, table: 'tokens' | 'compat_tokens') => sql(`latchkey.${table}`)

/**
 * Deletes among some blocks the pairs that were replaced before `replaced`, and access tokens alone that ran out before
 * `expired`. A pair whose successor was never used stays: it may be presented again (decisions 7 and 8). So does every
 * pair with a refresh token that is still good, however long ago its access token ran out.
 */
export const deleteSpentTokens = (
  sql: Db,
  table: 'tokens' | 'compat_tokens',
  blocks: Blocks,
  before: { replaced: Date; expired: Date },
) => sql<Batch>`
  delete from ${tokenTable(sql, table)} t
  where ${within(sql, blocks)} and (
    (t.refresh_hash is null and t.expires_at < ${before.expired})
    or (t.consumed_at < ${before.replaced} and not exists (
      select from ${tokenTable(sql, table)} n
      where n.session_id = t.session_id and n.id = t.next_id and n.consumed_at is null and n.first_used_at is null)))
  returning id`

/** Forgets among some blocks from where sessions were used that nobody used since `before`. */
export const forgetAddresses = (
  sql: Db,
  table: Exclude<WalkedTable, 'tokens' | 'compat_tokens'>,
  blocks: Blocks,
  before: Date,
) => sql<Batch>`
  update ${sql(`latchkey.${table}`)} set last_active_ip = null
  where ${within(sql, blocks)} and last_active_ip is not null and last_active_at < ${before}
  returning id`
