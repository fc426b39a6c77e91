import type { Db, Json } from './connect.ts'
import {
  bounds,
  type Counting,
  counted,
  type Fragment,
  type ListTable,
  type PageBounds,
  where,
  window,
} from './page.ts'

/** A job of the queue; the tables are the queue's own and only there once it was started. */
export interface JobRow {
  id: string
  name: string
  state: JobState
  data: Record<string, unknown>
  tries: number
  failure: string | null
  created_at: Date
  due_at: Date
  ended_at: Date | null
}

/** `dead`: given up. */
export type JobState = 'waiting' | 'active' | 'done' | 'dead' | 'cancelled'

/** Which jobs; what is undefined does not matter. */
export interface JobFilter {
  state: JobState | undefined
  name: string | undefined
}

const STATES: Record<JobState, string[]> = {
  waiting: ['created', 'retry'],
  active: ['active'],
  done: ['completed'],
  dead: ['failed'],
  cancelled: ['cancelled'],
}

const jobs = (sql: Db): ListTable => ({ from: sql`latchkey_jobs.job j`, id: sql`j.id` })

const columns = (sql: Db): Fragment => sql`
  j.id, j.name, case j.state::text when 'created' then 'waiting' when 'retry' then 'waiting' when 'completed' then 'done'
    when 'failed' then 'dead' else j.state::text end as state,
  coalesce(j.data, '{}'::jsonb) as data, j.retry_count as tries, j.output ->> 'message' as failure,
  j.created_on as created_at, j.start_after as due_at, j.completed_on as ended_at`

/** The queue has jobs of its own, for its schedules. */
const ours = (sql: Db): Fragment => sql`j.name not like '\\_\\_pgboss%'`

const conditions = (sql: Db, { state, name }: JobFilter): (Fragment | undefined)[] => [
  ours(sql),
  state === undefined ? undefined : sql`j.state::text = any(${STATES[state]}::text[])`,
  name === undefined ? undefined : sql`j.name = ${name}`,
]

/** A page of jobs, and one more when there are more. Their ids are random: the order says nothing. */
export const listJobs = (sql: Db, filter: JobFilter, page: PageBounds) => sql<JobRow[]>`
  select ${columns(sql)} from latchkey_jobs.job j
  ${where(sql, [...conditions(sql, filter), ...bounds(sql, jobs(sql), page)])} ${window(sql, jobs(sql), page)}`

/** How many there are. */
export const countListedJobs = (sql: Db, filter: JobFilter, how: Counting) =>
  counted(sql, sql`latchkey_jobs.job j`, conditions(sql, filter), how)

/** One job. */
export const findJob = (sql: Db, id: string) => sql<JobRow[]>`
  select ${columns(sql)} from latchkey_jobs.job j where j.id = ${id} and ${ours(sql)}`

/** Lets jobs of these kinds that wait for another try have it now. */
export const hurryJobs = (sql: Db, names: readonly string[]) => sql`
  update latchkey_jobs.job set start_after = now()
  where name = any(${[...names]}::text[]) and state = 'retry' and start_after > now()`

/** A job of this kind with the same data that waits for another try. */
export const findRetry = (sql: Db, name: string, data: Json) => sql<{ id: string }[]>`
  select id from latchkey_jobs.job where name = ${name} and state = 'retry' and data = ${sql.json(data)} limit 1`

/**
 * Lets a job that was given up be tried anew, as often as a new one; no row when it was not given up, or when another one
 * about the same waits for its turn again: that does the same.
 */
export const reviveJob = (sql: Db, id: string) => sql<{ id: string }[]>`
  update latchkey_jobs.job j
  set state = 'retry', retry_count = 0, completed_on = null, start_after = now(), keep_until = now() + interval '1 year'
  where j.id = ${id} and j.state = 'failed' and ${ours(sql)}
    and not exists (
      select from latchkey_jobs.job o
      where o.name = j.name and o.state in ('created', 'retry')
        and o.singleton_key is not distinct from j.singleton_key)
  returning j.id`
