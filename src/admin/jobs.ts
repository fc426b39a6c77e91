import { Type } from '@sinclair/typebox'
import { countListedJobs, findJob, type JobRow, listJobs, reviveJob } from '../../sql/jobs.ts'
import { AdminError } from '../http/errors.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { answersOf, found, list, type ResourceKind, single } from './resource.ts'
import { listQuery, nullable, Time } from './schemas.ts'

const JOB: ResourceKind<JobRow> = {
  type: 'job',
  path: '/jobs',
  attributes: (row) => ({
    name: row.name,
    state: row.state,
    about: aboutOf(row.data),
    tries: row.tries,
    failure: row.failure,
    created_at: row.created_at.toISOString(),
    due_at: row.due_at.toISOString(),
    ended_at: row.ended_at?.toISOString() ?? null,
  }),
}

/** What a job was given, with ids as everybody else has them. */
export const aboutOf = (data: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(data).map(([name, value]) => [
      name,
      typeof value === 'string' && /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(value)
        ? ulidFromUuid(value)
        : value,
    ]),
  )

const STATES = ['waiting', 'active', 'done', 'dead', 'cancelled'] as const
const State = Type.Unsafe<JobRow['state']>(
  Type.Union(
    STATES.map((state) => Type.Literal(state)),
    { description: '`dead`: it failed as often as it is tried, and was given up.' },
  ),
)

const answers = answersOf(
  JOB.type,
  Type.Object({
    name: Type.String({ description: 'What it does.', examples: ['sync-devices'] }),
    state: State,
    about: Type.Record(Type.String(), Type.Unknown(), { description: 'What it was given: ids.' }),
    tries: Type.Integer({ description: 'How often it was tried again.' }),
    failure: nullable(Type.String({ description: 'Why the last try failed.' })),
    created_at: Time('When it was made.'),
    due_at: Time('From when on it may run.'),
    ended_at: nullable(Time('When it was done, or given up.')),
  }),
)

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such job.' } as const

/** The queue makes its tables when it is used first. */
const rowOf = async ({ deps, params }: Call): Promise<JobRow> => {
  await deps.jobs.prepare()
  return found((await findJob(deps.sql, params.id ?? ''))[0], 'job')
}

const listOperation = operation({
  method: 'GET',
  path: JOB.path,
  id: 'listJobs',
  area: 'server',
  summary: 'List the jobs of the queue',
  description: 'Work that is done later, such as telling the homeserver. In no order that says anything.',
  query: listQuery({
    'filter[state]': Type.Optional(State),
    'filter[name]': Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  }),
  success: { status: 200, description: 'Jobs.', schema: answers.list },
  async handle(call) {
    const { deps, query } = call
    await deps.jobs.prepare()
    const filter = { state: query['filter[state]'], name: query['filter[name]'] }
    return list(call, JOB, {
      rows: (page) => listJobs(deps.sql, filter, page),
      count: (how) => countListedJobs(deps.sql, filter, how),
    })
  },
})

const getOperation = operation({
  method: 'GET',
  path: `${JOB.path}/{id}`,
  id: 'getJob',
  area: 'server',
  summary: 'Get a job',
  success: { status: 200, description: 'The job.', schema: answers.single },
  refusals: [NOT_FOUND],
  handle: async (call) => single(call, JOB, await rowOf(call)),
})

const retryOperation = operation({
  method: 'POST',
  path: `${JOB.path}/{id}/retry`,
  id: 'retryJob',
  area: 'server',
  summary: 'Try a job again that was given up',
  success: { status: 200, description: 'The job, which waits again.', schema: answers.single },
  refusals: [
    NOT_FOUND,
    { status: 409, code: 'not_dead', when: 'It was not given up, or another one about the same waits.' },
  ],
  async handle(call) {
    const row = await rowOf(call)
    const [revived] = await reviveJob(call.deps.sql, row.id)
    if (!revived)
      throw new AdminError(409, 'not_dead', 'The job was not given up, or another one about the same waits.')
    return single(call, JOB, await rowOf(call))
  },
})

export const jobOperations: Operation[] = [listOperation, getOperation, retryOperation]
