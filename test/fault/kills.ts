import { findUserByName } from '../../sql/users.ts'
import type { Browser } from '../support/browser.ts'
import { obtainCode, PASSWORD, pkce, signUp } from '../support/oauth.ts'
import { browserOn } from './browser-on.ts'
import { createDeployment, type Deployment, type Latchkey } from './deployment.ts'
import { checkJobs } from './jobs.ts'
import { type App, introspect, patiently, post, presentRefresh, seedApps, take, waitFor } from './load.ts'
import { createDatabase, createPostgres } from './postgres.ts'
import type { Fault, Report } from './report.ts'
import { type StatementProxy, statementProxy } from './statement-proxy.ts'
import { said } from './under-load.ts'

/** A server that a statement will kill, with its own way to the database. */
interface Victim {
  server: Latchkey
  proxy: StatementProxy
}

/** Two servers of one deployment: one that dies, and one that goes on and runs the jobs. */
interface Scene {
  deployment: Deployment
  other: Latchkey
}

/** Something that a person or an app does, in one request or several. */
interface Flow<T> {
  name: string
  prepare(scene: Scene, index: number): Promise<T>
  /** Sends it to the victim, which may die of it. */
  attempt(scene: Scene, subject: T, victim: Latchkey): Promise<void>
  /** Does it again at the other one, as whoever got no answer does; gives what is wrong afterwards. */
  goOn(scene: Scene, subject: T): Promise<string[]>
}

const REFRESH: Flow<App> = {
  name: 'refresh',
  prepare: async ({ deployment }) => (await seedApps(deployment.sql, deployment.client.id, 1))[0] as App,
  async attempt({ deployment }, app, victim) {
    await presentRefresh(victim, deployment.client.clientId, app.refresh)
  },
  async goOn({ deployment, other }, app) {
    for (let round = 0; round < 2; round++) {
      const answer = await patiently(() => presentRefresh(other, deployment.client.clientId, app.refresh))
      if (answer.status !== 200) return [`refresh ${round}: ${answer.status} ${JSON.stringify(answer.body)}`]
      take(app, answer)
      if ((await introspect(other, app.access)).body.active !== true)
        return ['the new access token is not active']
    }
    return []
  },
}

interface Approved {
  browser: Browser
  name: string
  code: string
}

const deviceOf = (name: string): string => `${name.toUpperCase()}DEVICE`
const scopeOf = (name: string) => ({
  scope: `openid urn:matrix:client:api:* urn:matrix:client:device:${deviceOf(name)}`,
})

const exchangeCode = ({ deployment }: Scene, server: Latchkey, code: string) =>
  post(server, '/oauth2/token', {
    grant_type: 'authorization_code',
    client_id: deployment.client.clientId,
    code,
    code_verifier: pkce().verifier,
  })

/** The lease on a code that a dead process held; a client that asks until then gets 503. */
const LEASE = 40

const EXCHANGE: Flow<Approved> = {
  name: 'code exchange',
  async prepare({ deployment, other }, index) {
    const browser = browserOn([other])
    const name = `coder${index}`
    await signUp(browser, name)
    return { browser, name, code: await obtainCode(browser, deployment.client.clientId, scopeOf(name)) }
  },
  async attempt(scene, { code }, victim) {
    await exchangeCode(scene, victim, code)
  },
  async goOn(scene, subject) {
    const { deployment, other } = scene
    const wrong: string[] = []
    let answer = await patiently(async () => {
      const one = await exchangeCode(scene, other, subject.code)
      if (one.status === 503 && one.retryAfter === null) wrong.push('503 without Retry-After')
      return one
    }, LEASE)
    if (
      answer.status === 400 &&
      answer.body.error === 'invalid_grant' &&
      (await wasSpent(deployment, subject.name))
    ) {
      // Everything was committed, and only the answer is lost. A code is good once (RFC 6749 section 4.1.2): the app
      // begins again, in a browser that is signed in.
      subject.code = await obtainCode(subject.browser, deployment.client.clientId, scopeOf(subject.name))
      answer = await patiently(() => exchangeCode(scene, other, subject.code))
    }
    if (answer.status !== 200) return [`exchange: ${answer.status} ${JSON.stringify(answer.body)}`]
    const app = { access: String(answer.body.access_token), refresh: String(answer.body.refresh_token) }
    const [live] = await deployment.sql<{ count: number }[]>`
      select count(*)::int as count from latchkey.oauth_sessions
      where device_id = ${deviceOf(subject.name)} and finished_at is null`
    wrong.push(...(await REFRESH.goOn(scene, app)))
    if (live?.count !== 1) wrong.push(`the device has ${live?.count} sessions`)
    if (!deployment.homeserver.fake.devicesOf(subject.name).includes(deviceOf(subject.name)))
      wrong.push('the homeserver does not know the device')
    return wrong
  },
}

async function wasSpent({ sql }: Deployment, name: string): Promise<boolean> {
  const rows = await sql`
    select 1 from latchkey.authorization_grants g join latchkey.browser_sessions b on b.id = g.browser_session_id
      join latchkey.users u on u.id = b.user_id
    where u.username = ${name} and g.exchanged_at is not null`
  return rows.length > 0
}

const SIGN_UP: Flow<{ name: string; failed?: unknown }> = {
  name: 'sign-up',
  prepare: async (_, index) => ({ name: `newcomer${index}` }),
  async attempt({ other }, subject, victim) {
    try {
      await signUp(browserOn([victim, other]), subject.name)
    } catch (error) {
      // The form was sent again, and its name is taken by the account that it made: checked below.
      subject.failed = error
    }
  },
  async goOn({ deployment, other }, { name }) {
    const [before] = await findUserByName(deployment.sql, name, name)
    // The person begins again.
    if (!before) await signUp(browserOn([other]), name)
    const wrong: string[] = []
    const browser = browserOn([other])
    const login = await browser.open('/login')
    await login.submit({ username: name, password: PASSWORD }, { action: 'login' })
    const account = await browser.open('/account/')
    if (account.url.pathname !== '/account/') wrong.push(`signing in ends at ${account.url.pathname}`)
    const known = await waitFor(60, () => deployment.homeserver.fake.users.has(name))
    if (known === undefined) wrong.push('the homeserver was not told')
    return wrong
  },
}

const DEACTIVATION: Flow<{ name: string; browser: Browser; app: App }> = {
  name: 'deactivation',
  async prepare(scene, index) {
    const { deployment, other } = scene
    const name = `leaver${index}`
    const browser = browserOn([other])
    await signUp(browser, name)
    const code = await obtainCode(browser, deployment.client.clientId, scopeOf(name))
    const { body } = await exchangeCode(scene, other, code)
    return { name, browser, app: { access: String(body.access_token), refresh: String(body.refresh_token) } }
  },
  async attempt({ other }, { name, browser }, victim) {
    const both = browserOn([victim, other])
    for (const [cookie, value] of browser.cookies) both.cookies.set(cookie, value)
    const explained = await both.open('/account/deactivate')
    const confirm = await explained.submit({}, { action: 'deactivate' })
    await confirm.submit({ confirm: name }, { action: 'deactivate' })
  },
  async goOn({ deployment, other }, { name, app }) {
    const { fake } = deployment.homeserver
    const [user] = await findUserByName(deployment.sql, name, name)
    if (!user?.deactivated_at) return ['the request was sent again, and the account is not deactivated']
    const wrong: string[] = []
    const [left] = await deployment.sql<{ browsers: number; apps: number; passwords: number }[]>`
      select (select count(*)::int from latchkey.browser_sessions where user_id = ${user.id} and finished_at is null) as browsers,
        (select count(*)::int from latchkey.oauth_sessions where user_id = ${user.id} and finished_at is null) as apps,
        (select count(*)::int from latchkey.user_passwords where user_id = ${user.id}) as passwords`
    if (left?.browsers !== 0 || left.apps !== 0 || left.passwords !== 0)
      wrong.push(`left: ${JSON.stringify(left)}`)
    const answer = await presentRefresh(other, deployment.client.clientId, app.refresh)
    if (answer.body.error !== 'invalid_grant') wrong.push(`its app is answered ${answer.status}`)
    const told = await waitFor(60, () => fake.users.get(name)?.deactivated === true)
    if (told === undefined) wrong.push('the homeserver was not told')
    return wrong
  },
}

/** Breaks a flow off after each of its statements in turn. Everything is gone on with at the same time: leases take half a minute. */
async function killEverywhere<T>(report: Report, scene: Scene, flow: Flow<T>): Promise<void> {
  const { deployment } = scene
  const begin = async (): Promise<Victim> => {
    const proxy = await statementProxy(deployment.uri)
    return { proxy, server: await deployment.begin({ uri: proxy.uri }) }
  }
  const whole = await begin()
  const sample = await flow.prepare(scene, 0)
  const before = whole.proxy.answered()
  await flow.attempt(scene, sample, whole.server)
  const statements = whole.proxy.answered() - before
  whole.server.kill('SIGKILL')
  await whole.proxy.close()

  const subjects: { count: number; subject: T; killed: boolean }[] = []
  let next = begin()
  for (let count = 1; count <= statements; count++) {
    const [{ proxy, server }, subject] = await Promise.all([next, flow.prepare(scene, count)])
    if (count < statements) next = begin()
    let killed = false
    proxy.after(count, () => {
      killed = true
      server.kill('SIGKILL')
    })
    await flow.attempt(scene, subject, server)
    subjects.push({ count, subject, killed })
    server.kill('SIGKILL')
    await proxy.close()
  }
  const wrong = await Promise.all(
    [{ count: 0, subject: sample }, ...subjects].map(async ({ count, subject }) =>
      (await flow.goOn(scene, subject)).map((text) => `after statement ${count}: ${text}`),
    ),
  )
  const killed = subjects.filter((one) => one.killed).length
  report.check(
    `${flow.name}: killed after each of its statements, it is gone on with at another process, whole`,
    wrong.flat().length === 0 && statements > 0,
    said(wrong.flat(), `${killed} kills at ${statements} statements`),
  )
}

export const killed: Fault = {
  name: 'killed',
  title: 'SIGKILL of a server after each statement of code exchange, refresh, sign-up, deactivation',
  async run(report) {
    const postgres = await createPostgres()
    await postgres.start()
    const deployment = await createDeployment(await createDatabase(postgres, 'killed'))
    try {
      const scene = { deployment, other: await deployment.begin({ worker: true }) }
      await killEverywhere(report, scene, REFRESH)
      await killEverywhere(report, scene, EXCHANGE)
      await killEverywhere(report, scene, SIGN_UP)
      await killEverywhere(report, scene, DEACTIVATION)
      await checkJobs(report, deployment)
    } finally {
      await deployment.close()
      await postgres.remove()
    }
  },
}
