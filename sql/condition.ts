import type { Db } from './connect.ts'

/** What somebody wants to know who looks whether a database is in order. */
export const describeDatabase = (sql: Db) => sql<
  { version: number; name: string; encoding: string; read_only: boolean; now: Date; queue: boolean }[]
>`
  select current_setting('server_version_num')::int as version, current_database()::text as name,
    current_setting('server_encoding') as encoding,
    pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool as read_only,
    clock_timestamp() as now, to_regclass('latchkey_jobs.job') is not null as queue`

/** How many mails wait, how many nobody tries any more, and since when the oldest waits. */
export const countMails = (sql: Db) => sql<{ waiting: number; given_up: number }[]>`
  select count(*) filter (where given_up_at is null)::int as waiting,
    count(*) filter (where given_up_at is not null)::int as given_up
  from latchkey.mails`

/**
 * The jobs by state. `due` counts those that a worker should have begun; `oldest` is since when the first of them waits.
 * The table is the queue's own and only there once a server has run.
 */
export const countJobs = (sql: Db) => sql<
  { waiting: number; due: number; active: number; dead: number; oldest: Date | null }[]
>`
  select count(*) filter (where state in ('created', 'retry'))::int as waiting,
    count(*) filter (where state in ('created', 'retry') and start_after <= now())::int as due,
    count(*) filter (where state = 'active')::int as active,
    count(*) filter (where state = 'failed')::int as dead,
    min(start_after) filter (where state in ('created', 'retry') and start_after <= now()) as oldest
  from latchkey_jobs.job
  where name not like '\\_\\_pgboss%'`

/** Our connections to this database, those of every process, and what they do: behind a pooler, those of the pooler. */
export const countConnections = (sql: Db) => sql<{ used: number; idle: number }[]>`
  select count(*) filter (where state <> 'idle')::int as used, count(*) filter (where state = 'idle')::int as idle
  from pg_stat_activity where datname = current_database() and application_name like 'latchkey%'`
