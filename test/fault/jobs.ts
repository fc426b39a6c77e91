import type { Deployment } from './deployment.ts'
import { waitFor } from './load.ts'
import type { Report } from './report.ts'
import { said } from './under-load.ts'

/** Every job that was committed was done, within `limit` seconds. */
export async function checkJobs(report: Report, { sql }: Deployment, limit = 120): Promise<void> {
  const open = () => sql<{ name: string; state: string; count: number; reason: string }[]>`
    select name, state::text as state, count(*)::int as count, coalesce(min(output ->> 'message'), '') as reason
    from latchkey_jobs.job
    where name not like '\\_\\_pgboss%' and state::text <> 'completed' and start_after < now() + interval '5 minutes'
    group by 1, 2`
  const took = await waitFor(limit, async () => (await open()).length === 0)
  const left = (await open()).map(({ name, state, count, reason }) => `${count} ${name} ${state} ${reason}`)
  const [done] = await sql<{ count: number }[]>`
    select count(*)::int as count from latchkey_jobs.job where state = 'completed' and name not like '\\_\\_pgboss%'`
  report.check('no job is lost: all of them are done', took !== undefined, said(left, `${done?.count} jobs`))
}
