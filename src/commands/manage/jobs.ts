import { type JobRow, listJobs, reviveJob } from '../../../sql/jobs.ts'
import { aboutOf } from '../../admin/jobs.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import { CommandError, type Context, note, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { runJobs, withLatchkey } from './with-latchkey.ts'

/** Jobs that one list shows. */
const LIMIT = 1000
const PAGE = { size: LIMIT, backward: false, after: undefined, before: undefined }

/** `latchkey manage list-jobs`: those that were given up; with `--all` those that wait or run too. */
export async function listJobsCommand(
  this: Context,
  flags: ConfigOnly & { json?: boolean; all?: boolean },
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    await deps.jobs.prepare()
    const rows: JobRow[] = []
    for (const state of flags.all ? (['waiting', 'active', 'dead'] as const) : (['dead'] as const))
      rows.push(...(await listJobs(deps.sql, { state, name: undefined }, PAGE)).slice(0, LIMIT))
    if (flags.json) return say(this, JSON.stringify(rows.map(recordOf)))
    for (const row of rows) {
      const { id, about, ...job } = recordOf(row)
      const failure = (job.failure ?? '').replace(/\p{Cc}+/gu, ' ')
      say(
        this,
        `${id} ${job.name} ${JSON.stringify(about)}: ${job.state}, tried again ${job.tries} times: ${failure}`,
      )
    }
    if (rows.length === 0) note(this, flags.all ? 'No job waits or was given up.' : 'No job was given up.')
  })
}

const recordOf = (row: JobRow) => ({
  id: ulidFromUuid(row.id),
  name: row.name,
  state: row.state,
  about: aboutOf(row.data),
  tries: row.tries,
  failure: row.failure,
  created_at: row.created_at.toISOString(),
  due_at: row.due_at.toISOString(),
  ended_at: row.ended_at?.toISOString() ?? null,
})

/** `latchkey manage retry-job`: one that was given up, or all of them. */
export async function retryJobCommand(this: Context, flags: ConfigOnly, ulid?: string): Promise<void> {
  const id = ulid === undefined ? undefined : uuidFromUlid(ulid)
  if (ulid !== undefined && id === undefined) throw new CommandError(`${ulid} is not the id of a job.`)
  await withLatchkey(this, flags, async (deps) => {
    await deps.jobs.prepare()
    const dead = await listJobs(deps.sql, { state: 'dead', name: undefined }, PAGE)
    const ids = id === undefined ? dead.slice(0, LIMIT).map((row) => row.id) : [id]
    const revived: string[] = []
    for (const one of ids) revived.push(...(await reviveJob(deps.sql, one)).map((row) => row.id))
    if (revived.length === 0)
      throw new CommandError('There is no such job that was given up, or another one about the same waits.')
    await runJobs(deps)
    say(this, `${revived.length} ${revived.length === 1 ? 'job is' : 'jobs are'} tried again.`)
  })
}
