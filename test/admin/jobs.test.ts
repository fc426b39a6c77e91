import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { listJobs } from '../../sql/jobs.ts'
import { transact } from '../../src/lib/transact.ts'
import { newId, ulidFromUuid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminOf, makeUser } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'

let harness: Harness
let api: AdminCall
let bob: { uuid: string; id: string }
beforeAll(async () => {
  harness = await createHarness()
  ;({ api } = await adminOf(harness))
  bob = await makeUser(harness, 'bob')
  await harness.runJobs()
})
afterAll(() => harness.close())
beforeEach(async () => {
  await harness.database.sql`delete from latchkey_jobs.job`
})

/** A job about bob that was given up. */
async function deadJob(): Promise<string> {
  const { sql } = harness.database
  await transact(harness.deps.sql, (tx) =>
    harness.deps.jobs.enqueue(tx, 'sync-devices', { user_id: bob.uuid }),
  )
  await sql`
    update latchkey_jobs.job set state = 'failed', retry_count = 10, completed_on = now(),
      output = ${sql.json({ message: 'the homeserver refused' })}`
  const { body } = await api('GET', '/jobs?filter[state]=dead')
  return body.data[0].id
}

describe('GET /jobs', () => {
  test('a job that was given up says what it was about, how often it was tried, and why it failed', async () => {
    const id = await deadJob()
    const { status, body } = await api('GET', `/jobs/${id}`)
    expect(status).toBe(200)
    expect(body.data.attributes).toEqual({
      name: 'sync-devices',
      state: 'dead',
      about: { user_id: bob.id },
      tries: 10,
      failure: 'the homeserver refused',
      created_at: expect.any(String),
      due_at: expect.any(String),
      ended_at: expect.any(String),
    })
  })

  test('is filtered by state and name; an unknown state is 400, an unknown job 404', async () => {
    await deadJob()
    const total = async (query: string) => (await api('GET', `/jobs?${query}&count=only`)).body.meta.count
    expect(await total('filter[state]=dead')).toBe(1)
    expect(await total('filter[state]=waiting')).toBe(0)
    expect(await total('filter[name]=send-mail')).toBe(0)
    expect((await api('GET', '/jobs?filter[state]=lost')).status).toBe(400)
    expect((await api('GET', '/jobs/01J00000000000000000000000')).status).toBe(404)
  })

  test('a job whose name this release does not know is listed, and nobody touches it', async () => {
    const { sql } = harness.database
    await deadJob()
    await sql`
      insert into latchkey_jobs.queue
      select (jsonb_populate_record(q, '{"name": "of-another-release"}')).*
      from latchkey_jobs.queue q where name = 'sync-devices'`
    await sql`update latchkey_jobs.job set name = 'of-another-release', state = 'created', completed_on = null`
    await harness.runJobs()
    const { body } = await api('GET', '/jobs')
    expect(body.data.map(({ attributes }: { attributes: object }) => attributes)).toEqual([
      expect.objectContaining({ name: 'of-another-release', state: 'waiting' }),
    ])
  })
})

describe('POST /jobs/{id}/retry', () => {
  test('runs again what was given up; once, and there is an entry in the audit log', async () => {
    const id = await deadJob()
    const { status, body } = await api('POST', `/jobs/${id}/retry`)
    expect([status, body.data.attributes.state, body.data.attributes.tries]).toEqual([200, 'waiting', 0])
    const again = await api('POST', `/jobs/${id}/retry`)
    expect([again.status, again.body.errors[0].code]).toEqual([409, 'not_dead'])
    harness.homeserver.calls.length = 0
    await harness.runJobs()
    expect((await api('GET', `/jobs/${id}`)).body.data.attributes.state).toBe('done')
    const { body: audit } = await api('GET', '/audit-log?filter[action]=retryJob')
    expect(audit.data).toHaveLength(1)
  })

  test('is refused while another one about the same waits, which does the same', async () => {
    const id = await deadJob()
    await transact(harness.deps.sql, (tx) =>
      harness.deps.jobs.enqueue(tx, 'sync-devices', { user_id: bob.uuid }),
    )
    expect((await api('POST', `/jobs/${id}/retry`)).status).toBe(409)
  })
})

test('the list of dead jobs does not hold those of the queue itself', async () => {
  await deadJob()
  const page = { size: 100, backward: false, after: undefined, before: undefined }
  const rows = await listJobs(harness.deps.sql, { state: undefined, name: undefined }, page)
  expect(rows.map(({ name }) => name)).toEqual(['sync-devices'])
})

describe('/undelivered-mails', () => {
  const addMail = async (columns: object): Promise<string> => {
    harness.clock.advance(1)
    const id = newId(harness.clock.now(), harness.deps.random)
    const row = { id, kind: 'test', sealed_content: 'sealed', created_at: harness.clock.now(), ...columns }
    await harness.database.sql`insert into latchkey.mails ${harness.database.sql(row)}`
    return ulidFromUuid(id)
  }
  const now = () => harness.clock.now()

  test('GET: mail that failed says why, and neither to whom nor what', async () => {
    await addMail({})
    const tried = await addMail({ attempts: 2, attempted_at: now(), failure: '451 later' })
    const dead = await addMail({ attempts: 17, attempted_at: now(), failure: '550 no', given_up_at: now() })
    const ids = async (query = '') =>
      (await api('GET', `/undelivered-mails${query}`)).body.data.map(({ id }: { id: string }) => id)
    expect(await ids()).toEqual([tried, dead])
    expect(await ids('?filter[given_up]=true')).toEqual([dead])
    const { body } = await api('GET', '/undelivered-mails?filter[given_up]=true')
    expect(body.data[0].attributes).toMatchObject({ kind: 'test', attempts: 17, failure: '550 no' })
    expect(JSON.stringify(body)).not.toContain('sealed')
  })

  test('POST /retry: is tried anew; 409 while it is tried or of no use any more, 404 when there is none', async () => {
    const dead = await addMail({ attempts: 17, given_up_at: now() })
    const over = await addMail({ attempts: 17, given_up_at: now(), expires_at: now() })
    const { status, body } = await api('POST', `/undelivered-mails/${dead}/retry`)
    expect([status, body.data.attributes.given_up_at]).toEqual([200, null])
    const { body: jobs } = await api('GET', '/jobs?filter[name]=send-mail')
    expect(jobs.data[0].attributes.about).toEqual({ mail_id: dead })
    expect((await api('POST', `/undelivered-mails/${dead}/retry`)).status).toBe(409)
    expect((await api('POST', `/undelivered-mails/${over}/retry`)).status).toBe(409)
    expect((await api('POST', '/undelivered-mails/01J00000000000000000000000/retry')).status).toBe(404)
  })
})
