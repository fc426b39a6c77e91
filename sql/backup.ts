import type { Sql, Tx } from './connect.ts'

/** A table of our schema, as a backup has it. */
export interface TableShape {
  name: string
  columns: string[]
}

/** Our tables with their columns, each after those that it refers to. Throws when they refer to each other in a ring. */
export async function listTables(sql: Sql | Tx): Promise<TableShape[]> {
  const rows = await sql<{ name: string; columns: string[]; parents: string[] }[]>`
    select c.relname::text as name,
      (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
      array(select p.relname::text from pg_constraint f join pg_class p on p.oid = f.confrelid
        where f.conrelid = c.oid and f.contype = 'f' and f.confrelid <> c.oid) as parents
    from pg_class c
    where c.relnamespace = to_regnamespace('latchkey') and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname <> 'migrations'
    order by c.relname::text collate "C"`
  const sorted: TableShape[] = []
  const done = new Set<string>()
  let left = [...rows]
  while (left.length > 0) {
    const ready = left.filter(({ parents }) => parents.every((parent) => done.has(parent)))
    if (ready.length === 0) throw new Error(`Tables refer to each other: ${left.map(({ name }) => name)}`)
    for (const { name, columns } of ready) {
      sorted.push({ name, columns })
      done.add(name)
    }
    left = left.filter(({ name }) => !done.has(name))
  }
  return sorted
}

/** The migrations that made this schema; empty where there is none. */
export async function appliedMigrations(sql: Sql | Tx): Promise<{ name: string; checksum: string }[]> {
  const [found] = await sql`select to_regclass('latchkey.migrations') is not null as ours`
  if (!found?.ours) return []
  return sql<{ name: string; checksum: string }[]>`
    select name, checksum from latchkey.migrations order by version`
}

/** How many rows a table has, about: good enough to show how far something is. */
export async function hasRows(sql: Sql | Tx, table: string): Promise<boolean> {
  const [row] = await sql<{ found: boolean }[]>`select exists (select from latchkey.${sql(table)}) as found`
  return row?.found === true
}

/** A row when the server has this database. */
export const databaseExists = (sql: Sql, name: string) =>
  sql<{ found: number }[]>`select 1 as found from pg_database where datname = ${name}`

/** How many rows a table has, counted. */
export async function countRows(sql: Sql, table: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::float8 as count from latchkey.${sql(table)}`
  return row?.count ?? 0
}

/** Processes of Latchkey that have connections to this database, but ours. */
export const otherProcesses = (sql: Sql | Tx) => sql<{ name: string; connections: number }[]>`
  select application_name as name, count(*)::integer as connections from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and application_name in ('latchkey', 'latchkey jobs')
  group by application_name order by 1`

/** The content of a table, as `copy` writes it: a line a row, which any major version of PostgreSQL reads. */
export const copyOut = (tx: Tx, { name, columns }: TableShape) =>
  tx`copy latchkey.${tx(name)} (${tx(columns)}) to stdout`.readable()

/** Takes what `copyOut` gave. */
export const copyIn = (tx: Tx, { name, columns }: TableShape) =>
  tx`copy latchkey.${tx(name)} (${tx(columns)}) from stdin`.writable()

/** Counters go on behind the rows that came with their numbers. */
export async function continueCounters(tx: Tx): Promise<void> {
  const rows = await tx<{ table: string; column: string }[]>`
    select c.relname::text as table, a.attname::text as column
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'latchkey'::regnamespace and c.relkind in ('r', 'p') and a.attidentity <> ''`
  for (const { table, column } of rows)
    await tx`
      select setval(pg_get_serial_sequence(${`latchkey.${table}`}, ${column}),
        coalesce(max(${tx(column)}), 0) + 1, false) from latchkey.${tx(table)}`
}

/** Removes everything, the schema with it. */
export const dropSchema = (tx: Tx) => tx`drop schema if exists latchkey cascade`

/** Empties what migrations put into tables of their own accord. */
export const emptyTables = (tx: Tx, names: string[]) =>
  tx.unsafe(`truncate ${names.map((name) => `latchkey."${name.replaceAll('"', '""')}"`).join(', ')}`)

/** What of a job has to come back; all else is the queue's to say. */
const JOB_COLUMNS = [
  'id',
  'name',
  'priority',
  'data',
  'state',
  'retry_limit',
  'retry_count',
  'retry_delay',
  'retry_backoff',
  'retry_delay_max',
  'expire_seconds',
  'deletion_seconds',
  'singleton_key',
  'start_after',
  'created_on',
  'completed_on',
  'keep_until',
  'output',
  'policy',
  'heartbeat_seconds',
]

/** Jobs under this name stand in a backup beside the tables. */
export const JOBS: TableShape = { name: 'jobs', columns: JOB_COLUMNS }

/** Whether there is a queue at all: it makes its tables at its first use. */
export async function queueExists(sql: Sql | Tx): Promise<boolean> {
  const [row] = await sql`select to_regclass('latchkey_jobs.job') is not null as found`
  return row?.found === true
}

/**
 * Jobs that wait, run or were given up. One that runs waits again after a restore; of those about the same, one waits
 * (the queue has an index on that).
 */
export const copyJobsOut = (tx: Tx) =>
  tx
    .unsafe(`
    copy (
      select distinct on (name, state, coalesce(singleton_key, id::text)) * from (
        select ${JOB_COLUMNS.map((column) => (column === 'state' ? `case state when 'active' then 'retry' else state end::text as state` : column)).join(', ')}
        from latchkey_jobs.job
        where state in ('created', 'retry', 'active', 'failed') and name not like '\\_\\_pgboss%') waiting
      order by name, state, coalesce(singleton_key, id::text), start_after
    ) to stdout`)
    .readable()

/** Where jobs wait while they come in. */
export const stageJobs = async (tx: Tx) => {
  await tx.unsafe(`
    create temporary table restored_jobs on commit drop as
      select ${JOB_COLUMNS.map((column) => (column === 'state' ? 'state::text as state' : column)).join(', ')}
      from latchkey_jobs.job with no data`)
  return tx.unsafe(`copy restored_jobs (${JOB_COLUMNS.join(', ')}) from stdin`).writable()
}

/** Puts them in place of those that the queue has, without those of a kind that this release does not know. */
export async function unstageJobs(tx: Tx): Promise<void> {
  await tx`delete from latchkey_jobs.job where name not like '\\_\\_pgboss%'`
  await tx.unsafe(`
    insert into latchkey_jobs.job (${JOB_COLUMNS.join(', ')})
      select ${JOB_COLUMNS.map((column) => (column === 'state' ? 'state::latchkey_jobs.job_state' : column)).join(', ')}
      from restored_jobs where name in (select name from latchkey_jobs.queue)`)
}
