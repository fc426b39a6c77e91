import type { Browser } from '../support/browser.ts'
import { obtainCode, PASSWORD, pkce, signUp } from '../support/oauth.ts'
import { browserOn } from './browser-on.ts'
import { createDeployment, type Deployment, type Latchkey } from './deployment.ts'
import type { Mood } from './front.ts'
import { checkJobs } from './jobs.ts'
import { type App, createTally, introspect, post, presentRefresh, seedApps, take, waitFor } from './load.ts'
import { createDatabase, createPostgres } from './postgres.ts'
import type { Fault } from './report.ts'
import { said } from './under-load.ts'

/** Seconds that a page may take while a service is in trouble: its calls give up after ten, on a machine that is busy. */
const PATIENCE = 12
/** Seconds that a page may take which needs no other service. */
const AT_ONCE = 3

const TROUBLES: readonly Mood[] = ['down', 'silent', 'nonsense']

interface Scene {
  deployment: Deployment
  servers: [Latchkey, Latchkey]
}

async function withServers(name: string, run: (scene: Scene) => Promise<void>): Promise<void> {
  const postgres = await createPostgres()
  await postgres.start()
  const deployment = await createDeployment(await createDatabase(postgres, name))
  try {
    await run({
      deployment,
      servers: [await deployment.begin({ worker: true }), await deployment.begin({ worker: true })],
    })
  } finally {
    await deployment.close()
    await postgres.remove()
  }
}

/** How long things took, by name, and those that took too long. */
function createWatch() {
  const slow: string[] = []
  const worst = new Map<string, number>()
  return {
    slow,
    text: () => [...worst].map(([name, seconds]) => `${name} ${seconds.toFixed(1)} s`).join(', '),
    async time<T>(name: string, limit: number, work: () => Promise<T>): Promise<T> {
      const begun = performance.now()
      const result = await work()
      const seconds = (performance.now() - begun) / 1000
      worst.set(name, Math.max(worst.get(name) ?? 0, seconds))
      if (seconds > limit) slow.push(`${name} took ${seconds.toFixed(1)} s`)
      return result
    },
  }
}

interface Person {
  name: string
  browser: Browser
  app: App
}

const deviceOf = (name: string): string => `${name.toUpperCase()}DEVICE`

async function signIn({ deployment, servers }: Scene, name: string): Promise<Person> {
  const { clientId } = deployment.client
  const browser = browserOn(servers)
  await signUp(browser, name)
  const scope = `openid urn:matrix:client:api:* urn:matrix:client:device:${deviceOf(name)}`
  const { status, body } = await post(servers[0], '/oauth2/token', {
    grant_type: 'authorization_code',
    client_id: clientId,
    code: await obtainCode(browser, clientId, { scope }),
    code_verifier: pkce().verifier,
  })
  if (status !== 200) throw new Error(`exchange: ${status} ${JSON.stringify(body)}`)
  return { name, browser, app: { access: String(body.access_token), refresh: String(body.refresh_token) } }
}

const homeserverAway: Fault = {
  name: 'homeserver',
  title: 'the homeserver is down, then silent, then answers nonsense, while people sign in, out and up',
  run: (report) =>
    withServers('homeserver', async (scene) => {
      const { deployment, servers } = scene
      const { clientId, id } = deployment.client
      const { fake, front } = deployment.homeserver
      const leaving = await Promise.all(TROUBLES.map((mood) => signIn(scene, `leaver${mood}`)))
      const gone = await Promise.all(TROUBLES.map((mood) => signIn(scene, `gone${mood}`)))
      const apps = await seedApps(deployment.sql, id, 3)
      const watch = createWatch()
      const tally = createTally()
      const signUps: string[] = []
      for (const [at, mood] of TROUBLES.entries()) {
        await front.become(mood)
        const [leaver, deserter, app] = [leaving[at], gone[at], apps[at]]
        if (!leaver || !deserter || !app) continue
        for (let round = 0; round < 5; round++) {
          const stranger = browserOn(servers)
          const page = await watch.time('sign-in page', AT_ONCE, () => stranger.open('/login'))
          const fields = { username: leaver.name, password: PASSWORD }
          await watch.time('sign-in', AT_ONCE, () => page.submit(fields, { action: 'login' }))
          const account = await watch.time('account page', AT_ONCE, () => stranger.open('/account/'))
          tally.count('account', { status: account.status, retryAfter: null, body: {} })
          const refreshed = await presentRefresh(servers[0], clientId, app.refresh)
          tally.count('refresh', refreshed)
          if (refreshed.status === 200) take(app, refreshed)
          tally.count('introspection', await introspect(servers[1], app.access))
        }
        // What must be told, and can't be yet.
        tally.count(
          'sign-out',
          await post(servers[0], '/oauth2/revoke', { client_id: clientId, token: leaver.app.refresh }),
        )
        const explained = await deserter.browser.open('/account/deactivate')
        const confirm = await explained.submit({}, { action: 'deactivate' })
        const done = await watch.time('deactivation', PATIENCE, () =>
          confirm.submit({ confirm: deserter.name }, { action: 'deactivate' }),
        )
        tally.count('deactivation', { status: done.status, retryAfter: null, body: {} })
        const form = await browserOn(servers).open('/register')
        const name = `late${mood}`
        const answer = await watch.time('sign-up', PATIENCE, () =>
          form.submit(
            { username: name, password: PASSWORD, password_confirm: PASSWORD },
            { action: 'register/password' },
          ),
        )
        signUps.push(`${answer.status}`)
        if (answer.status !== 503 && answer.status !== 200) tally.wrong.push(`sign-up ${answer.status}`)
      }
      await front.become('well')
      report.check(
        'pages that need no homeserver stay fast, the others give up in time',
        watch.slow.length === 0,
        said(watch.slow, watch.text()),
      )
      report.check(
        'nothing is answered with 4xx or 500',
        tally.wrong.length === 0,
        said(tally.wrong, `${tally.text()}, sign-up ${signUps.join(' ')}`),
      )
      await checkJobs(report, deployment, 180)
      const left = leaving.filter(({ name }) => fake.devicesOf(name).includes(deviceOf(name)))
      report.check(
        'every device that was signed out is gone at the homeserver',
        left.length === 0,
        `${leaving.length} devices`,
      )
      const living = gone.filter(({ name }) => fake.users.get(name)?.deactivated !== true)
      report.check(
        'every account that was deactivated is so at the homeserver',
        living.length === 0,
        `${gone.length} accounts`,
      )
      const back = await waitFor(30, async () => {
        try {
          await signUp(browserOn(servers), `back${Math.floor(performance.now())}`)
          return true
        } catch {
          return false
        }
      })
      report.check('people can sign up again', back !== undefined, `after ${back?.toFixed(1)} s`)
    }),
}

const mailAway: Fault = {
  name: 'mail',
  title: 'the mail server is down, then silent, then answers nonsense, while people ask for mails',
  run: (report) =>
    withServers('mail', async ({ deployment, servers }) => {
      const { mail, sql } = deployment
      const watch = createWatch()
      const statuses: string[] = []
      const addresses: string[] = []
      for (const mood of TROUBLES) {
        await mail.front.become(mood)
        for (let index = 0; index < 3; index++) {
          const name = `${mood}${index}`
          const browser = browserOn(servers)
          await signUp(browser, name)
          const address = `${name}@example.com`
          addresses.push(address)
          await sql`
            insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
            select gen_random_uuid(), id, ${address}, ${address}, now() from latchkey.users where username = ${name}`
          const form = await browserOn(servers).open('/recover')
          const page = await watch.time('asking for a mail', AT_ONCE, () =>
            form.submit({ email: address }, { action: 'recover' }),
          )
          statuses.push(String(page.status))
        }
        await Bun.sleep(3000)
      }
      await mail.front.become('well')
      report.check(
        'asking for a mail does not wait for the mail server',
        watch.slow.length === 0,
        said(watch.slow, watch.text()),
      )
      report.check(
        'everybody is told that a mail comes',
        statuses.every((status) => status === '200'),
        statuses.join(' '),
      )
      const arrived = () => addresses.filter((one) => mail.server.mails.some(({ to }) => to.includes(one)))
      const took = await waitFor(240, () => arrived().length === addresses.length)
      report.check(
        'every mail arrives in the end',
        took !== undefined,
        `${arrived().length} of ${addresses.length}, ${took === undefined ? 'not all' : `${took.toFixed(0)} s after`}`,
      )
      const twice = addresses.filter(
        (one) => mail.server.mails.filter(({ to }) => to.includes(one)).length > 1,
      )
      report.check('no mail arrives twice', twice.length === 0, String(twice.length))
      await checkJobs(report, deployment)
    }),
}

export const serviceFaults: readonly Fault[] = [homeserverAway, mailAway]
