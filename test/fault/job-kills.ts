import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createJobs } from '../../src/jobs/jobs.ts'
import { transact } from '../../src/lib/transact.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { selfSigned } from '../support/certificate.ts'
import { obtainCode, PASSWORD, pkce, signUp, WEB_CLIENT } from '../support/oauth.ts'
import type { Relay } from '../support/relay.ts'
import { browserOn } from './browser-on.ts'
import { type BeginOptions, createDeployment, type Deployment, type Latchkey } from './deployment.ts'
import { checkJobs } from './jobs.ts'
import { post, waitFor } from './load.ts'
import { createDatabase, createPostgres } from './postgres.ts'
import type { Fault, Report } from './report.ts'
import { type Trap, trapProxy } from './trap-proxy.ts'
import { said } from './under-load.ts'

/** An app of the operator: it is told about logouts at an address of this machine. */
const CLIENT = '01KJ0000000000000000000000'
/** Rows that a clean-up removes: four of its batches. */
const OLD = 2000
/** Of the same table, which nobody may remove. */
const YOUNG = 7
/** Seconds until the jobs of a dead process are another one's: its heartbeat, the next look at it, the pause of a retry. */
const TAKE_OVER = 240

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} }

const MOMENTS = ['claimed', 'half-way', 'before it is noted', 'after it was noted'] as const
type Moment = (typeof MOMENTS)[number]

/** What pg-boss takes jobs with, and what it notes the end of one with. */
const TAKE = /skip locked/i
const COMPLETE = /state = 'completed'/

interface Job {
  id: string
  data: Record<string, string>
}

/** The moment at which a worker dies: a statement, or something that happens elsewhere and calls `kill`. */
type Halfway = Trap | ((kill: () => void) => void)

/** A kind of job, one of them for each moment. */
interface Kind {
  name: string
  jobs: Job[]
  halfway(job: Job): Halfway
  /** How often a job was seen to do what it is for; without where that can't be counted. */
  effects?(job: Job): number
}

/** Where a logout token arrives; `met` is told at once, and the answer waits for it. */
interface Receiver {
  port: number
  /** The certificate to trust, as a file. */
  file: string
  tokens: string[]
  met: (() => void) | undefined
  close(): Promise<void>
}

async function startReceiver(): Promise<Receiver> {
  const { cert, key } = await selfSigned('localhost')
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    async fetch(request) {
      receiver.tokens.push(new URLSearchParams(await request.text()).get('logout_token') ?? '')
      receiver.met?.()
      return new Response(null, { status: 200 })
    },
  })
  const receiver: Receiver = {
    port: server.port ?? 0,
    file: join(tmpdir(), `latchkey-fault-${server.port}.pem`),
    tokens: [],
    met: undefined,
    close: () => server.stop(true),
  }
  await writeFile(receiver.file, cert)
  return receiver
}

/** The configuration of every process, which trusts the certificate of the receiver. */
function optionsFor({ port, file }: Receiver): BeginOptions {
  return {
    env: { NODE_EXTRA_CA_CERTS: file },
    config: {
      clients: [
        {
          client_id: CLIENT,
          client_auth_method: 'none',
          redirect_uris: [WEB_CLIENT.redirect_uris[0] ?? ''],
          backchannel_logout_uri: `https://localhost:${port}/logout`,
        },
      ],
    },
  }
}

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))

/** Makes the jobs, through what people do; nobody runs jobs yet. */
async function makeJobs(deployment: Deployment, web: Latchkey): Promise<void> {
  const { sql } = deployment
  for (const [index] of MOMENTS.entries()) {
    const name = `worked${index}`
    const browser = browserOn([web])
    await signUp(browser, name)
    await sql`
      insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
      select gen_random_uuid(), id, ${`${name}@example.com`}, ${`${name}@example.com`}, now()
      from latchkey.users where username = ${name}`
    const { status, body } = await post(web, '/oauth2/token', {
      grant_type: 'authorization_code',
      client_id: CLIENT,
      code: await obtainCode(browser, CLIENT, {
        scope: `openid urn:matrix:client:api:* urn:matrix:client:device:${name.toUpperCase()}DEVICE`,
      }),
      code_verifier: pkce().verifier,
    })
    if (status !== 200) throw new Error(`exchange: ${status} ${JSON.stringify(body)}`)
    // A browser that was not seen before is told to the owner.
    const form = await browserOn([web]).open('/login')
    await form.submit({ username: name, password: PASSWORD }, { action: 'login' })
    await (await browser.open('/')).submit({}, { action: 'logout' })
    await post(web, '/oauth2/revoke', { client_id: CLIENT, token: String(body.refresh_token) })
  }
  await sql`
    insert into latchkey.mails (id, kind, sealed_content, created_at, given_up_at)
    select gen_random_uuid(), 'security_notice', 'x', at, at
    from generate_series(1, ${OLD + YOUNG}) as n,
      lateral (select now() - case when n <= ${OLD} then interval '100 days' else interval '1 minute' end as at) t`
  const jobs = createJobs({ uri: deployment.uri }, SILENT)
  for (const [index] of MOMENTS.entries()) {
    await transact(sql, (tx) => jobs.enqueue(tx, 'clean-up', {}))
    // The queue has room for one at a time.
    await sql`update latchkey_jobs.job set singleton_key = ${`everyone ${index}`} where singleton_key = 'everyone'`
  }
  await jobs.stop()
  // Nobody takes one before it is its turn.
  await sql`update latchkey_jobs.job set start_after = now() + interval '1 day' where name not like '\\_\\_pgboss%'`
}

async function kindsOf(deployment: Deployment, receiver: Receiver): Promise<Kind[]> {
  const { sql, homeserver, mail } = deployment
  const list = async (name: string): Promise<Job[]> => {
    const found = await sql<{ id: string; data: Record<string, string> }[]>`
      select id, data from latchkey_jobs.job where name = ${name} and state = 'created' order by created_on`
    if (found.length < MOMENTS.length) throw new Error(`There are ${found.length} jobs of ${name}.`)
    return found.slice(0, MOMENTS.length).map(({ id, data }) => ({ id, data }))
  }
  const names = new Map(
    (await sql<{ id: string; username: string }[]>`select id, username from latchkey.users`).map((row) => [
      row.id,
      row.username,
    ]),
  )
  return [
    {
      name: 'sync-devices',
      jobs: await list('sync-devices'),
      halfway: () => (kill) => {
        homeserver.met = (path) => {
          if (path.endsWith('/sync_devices')) kill()
        }
      },
      effects: ({ data }) =>
        homeserver.fake.calls.filter(
          ({ name, parameters }) =>
            name === 'sync_devices' && parameters.localpart === names.get(data.user_id ?? ''),
        ).length,
    },
    {
      name: 'send-mail',
      jobs: await list('send-mail'),
      halfway: ({ data }) => ({
        at: 'sent',
        text: /delete from latchkey\.mails where id =/,
        about: data.mail_id ?? '?',
      }),
      effects: ({ data }) =>
        mail.server.mails.filter(({ headers }) =>
          headers['message-id']?.startsWith(`<${ulidFromUuid(data.mail_id ?? '')}@`),
        ).length,
    },
    {
      name: 'backchannel-logout',
      jobs: await list('backchannel-logout'),
      halfway: () => (kill) => {
        receiver.met = kill
      },
      effects: ({ data }) =>
        receiver.tokens.filter((token) => claimsOf(token).sub === ulidFromUuid(data.user_id ?? '')).length,
    },
    {
      name: 'clean-up',
      jobs: await list('clean-up'),
      halfway: () => ({ at: 'answered', text: /delete from latchkey\.mails where id in/, about: '' }),
    },
  ]
}

/** Two workers, each with its own way to the database; one that dies is replaced. */
function createCrew(deployment: Deployment, receiver: Receiver, options: BeginOptions) {
  const workers: Latchkey[] = []
  const proxies: Pick<Relay, 'close'>[] = []
  let trap: Trap | undefined
  /** The job that a worker is to die of, and who has it. */
  const held: { job: string; by: Latchkey | undefined } = { job: '', by: undefined }
  const holder = () => held.by
  let died = 0
  const kill = (worker: Latchkey | undefined) => {
    // Another job of the kind, which was lost before, is taken over just now.
    if (!worker) return
    trap = undefined
    deployment.homeserver.met = undefined
    receiver.met = undefined
    died++
    worker.kill('SIGKILL')
  }
  const hire = async (): Promise<void> => {
    let worker: Latchkey | undefined
    const proxy = await trapProxy(deployment.uri, (at, text, about) => {
      if (at === 'answered' && TAKE.test(text) && about.includes(held.job)) held.by = worker
      if (!trap || !worker || trap.at !== at || !trap.text.test(text) || !about.includes(trap.about))
        return false
      kill(worker)
      return true
    })
    proxies.push(proxy)
    worker = await deployment.begin({ ...options, uri: proxy.uri, worker: true })
    workers.push(worker)
  }
  return {
    async fill(): Promise<void> {
      const living = workers.filter((one) => one.alive()).length
      await Promise.all(Array.from({ length: Math.max(0, 2 - living) }, hire))
    },
    /** Whoever takes this job dies of it at this moment; false when nobody did. */
    async lose(id: string, how: Halfway): Promise<boolean> {
      held.job = id
      held.by = undefined
      const before = died
      if (typeof how === 'function') how(() => kill(holder()))
      else trap = how
      await deployment.sql`update latchkey_jobs.job set start_after = now() where id = ${id}`
      const took = await waitFor(30, () => died > before)
      await holder()?.ended
      return took !== undefined
    },
    close: () => Promise.all(proxies.map((proxy) => proxy.close())),
  }
}

/** How a worker dies of a job at each moment of it. */
const waysOf = (kind: Kind, job: Job): Record<Moment, Halfway> => ({
  claimed: { at: 'answered', text: TAKE, about: job.id },
  'half-way': kind.halfway(job),
  'before it is noted': { at: 'sent', text: COMPLETE, about: job.id },
  'after it was noted': { at: 'answered', text: COMPLETE, about: job.id },
})

/** What is wrong with a kind of job after all of its workers died. */
async function wrongWith({ sql }: Deployment, kind: Kind): Promise<string[]> {
  const wrong: string[] = []
  for (const [index, job] of kind.jobs.entries()) {
    const moment = MOMENTS[index]
    const [row] = await sql<{ state: string; tries: number }[]>`
      select state::text as state, retry_count as tries from latchkey_jobs.job where id = ${job.id}`
    const say = (text: string) => wrong.push(`${kind.name}, ${moment}: ${text}`)
    if (!row) say('it is gone')
    if (row && row.state !== 'completed') say(`it is ${row.state} after ${row.tries} losses`)
    if (row && (row.tries === 0) !== (moment === 'after it was noted'))
      say(`it was begun again ${row.tries} times`)
    const effects = kind.effects?.(job)
    if (!row || effects === undefined) continue
    // Of a process that died in it, nobody knows how far it came: it may count, and only so often.
    const most = moment === 'claimed' ? row.tries : row.tries + 1
    if (effects < 1 || effects > most)
      say(`it took effect ${effects} times, and was begun ${row.tries + 1} times`)
  }
  return wrong
}

export const jobsKilled: Fault = {
  name: 'jobs-killed',
  title:
    'SIGKILL of a worker that has a job, of four kinds: before it does it, half-way, before and after it says so',
  async run(report: Report) {
    const postgres = await createPostgres()
    await postgres.start()
    const receiver = await startReceiver()
    const deployment = await createDeployment(await createDatabase(postgres, 'jobs_killed'))
    const options = optionsFor(receiver)
    const crew = createCrew(deployment, receiver, options)
    const { sql, homeserver, mail } = deployment
    try {
      const web = await deployment.begin(options)
      await makeJobs(deployment, web)
      const kinds = await kindsOf(deployment, receiver)
      const survived: string[] = []
      let kills = 0
      for (const [index, moment] of MOMENTS.entries())
        for (const kind of kinds) {
          const job = kind.jobs[index]
          if (!job) continue
          await crew.fill()
          if (await crew.lose(job.id, waysOf(kind, job)[moment])) kills++
          else survived.push(`${kind.name}, ${moment}`)
        }
      await crew.fill()
      report.check(
        'a worker died at each of the moments',
        survived.length === 0,
        said(survived, `${kills} kills`),
      )
      const ids = kinds.flatMap(({ jobs }) => jobs.map(({ id }) => id))
      const open = () => sql`
        select 1 from latchkey_jobs.job where id = any(${ids}::uuid[]) and state <> 'completed' limit 1`
      const took = await waitFor(TAKE_OVER, async () => (await open()).length === 0)
      report.check(
        'another worker takes them over without a hand',
        took !== undefined,
        took === undefined
          ? `not in ${TAKE_OVER} s`
          : `the last one ${took.toFixed(0)} s after the last kill`,
      )
      const wrong = (await Promise.all(kinds.map((kind) => wrongWith(deployment, kind)))).flat()
      report.check(
        'no job is lost, none is done twice but for those whose worker died in them, none after it was noted',
        wrong.length === 0,
        said(wrong, `${ids.length} jobs`),
      )
      const left = MOMENTS.flatMap((_, index) => homeserver.fake.devicesOf(`worked${index}`))
      report.check('the homeserver has forgotten every device', left.length === 0, said(left, '4 devices'))
      const numbers = mail.server.mails.map(({ headers }) => headers['message-id'] ?? '')
      report.check(
        'a mail that is sent twice says so: it has the Message-ID of the first',
        new Set(numbers).size <= MOMENTS.length && !numbers.includes(''),
        `${numbers.length} mails with ${new Set(numbers).size} ids`,
      )
      const jtis = receiver.tokens.map((token) => claimsOf(token).jti)
      report.check(
        'each logout token is one of its own',
        new Set(jtis).size === jtis.length,
        `${jtis.length} tokens`,
      )
      const [mails] = await sql<{ count: number }[]>`select count(*)::int as count from latchkey.mails`
      report.check(
        'the clean-up removed what is old and nothing else',
        mails?.count === YOUNG,
        `${mails?.count} left`,
      )
      await sql`update latchkey_jobs.job set start_after = now() where state = 'created' and name not like '\\_\\_pgboss%'`
      await checkJobs(report, deployment)
    } finally {
      await crew.close()
      await deployment.close()
      await receiver.close()
      await rm(receiver.file, { force: true })
      await postgres.remove()
    }
  },
}
