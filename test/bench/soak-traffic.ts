import { browserOn } from '../fault/browser-on.ts'
import type { Deployment, Latchkey } from '../fault/deployment.ts'
import { type Answer, type App, introspect, post, presentRefresh, seedApps, take } from '../fault/load.ts'
import { obtainCode, PASSWORD, pkce, signUp } from '../support/oauth.ts'

/** Traffic as a deployment has it, at a steady rate, whether or not the server keeps up. */
export interface Traffic {
  /** Milliseconds of the actions since the last call, and how many failed. */
  take(): { all: number[]; introspection: number[]; failures: number }
  /** What failed, in words. */
  failures: string[]
  /** How often each action was done. */
  text(): string
  stop(): Promise<void>
}

/** Apps that are signed in all the time. */
const APPS = 500
/** People whose passwords are tried. */
const PEOPLE = 20

/** Begins it: `rate` actions a second. */
export async function createTraffic(
  deployment: Deployment,
  server: Latchkey,
  rate: number,
): Promise<Traffic> {
  const { clientId, id } = deployment.client
  const apps = await seedApps(deployment.sql, id, APPS)
  const people = Array.from({ length: PEOPLE }, (_, index) => `soak${index}`)
  for (const name of people) await signUp(browserOn([server]), name)
  const busy = new Set<App>()
  let turn = 0
  let newcomers = 0
  const failures: string[] = []
  const expect = (answer: Answer, status = 200): void => {
    if (answer.status !== status) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
  }
  /** An app that does nothing else at the moment. */
  const free = (): App | undefined => {
    for (let tries = 0; tries < APPS; tries++) {
      const app = apps[turn++ % APPS]
      if (app && !busy.has(app)) return app
    }
    return undefined
  }
  const exchange = async (code: string): Promise<App> => {
    const verifier = pkce().verifier
    const form = { grant_type: 'authorization_code', client_id: clientId, code, code_verifier: verifier }
    const answer = await post(server, '/oauth2/token', form)
    expect(answer)
    return { access: String(answer.body.access_token), refresh: String(answer.body.refresh_token) }
  }
  const person = () => people[turn++ % PEOPLE] ?? ''
  const signIn = async (name: string, password: string) => {
    const browser = browserOn([server])
    const login = await browser.open('/login')
    return { browser, page: await login.submit({ username: name, password }, { action: 'login' }) }
  }

  const actions: Record<string, { share: number; run(): Promise<void> }> = {
    introspection: {
      share: 60,
      async run() {
        const app = free()
        if (!app) return
        busy.add(app)
        const answer = await introspect(server, app.access)
        busy.delete(app)
        expect(answer)
        if (answer.body.active !== true) throw new Error('not active')
      },
    },
    refresh: {
      share: 20,
      async run() {
        const app = free()
        if (!app) return
        busy.add(app)
        const answer = await presentRefresh(server, clientId, app.refresh)
        if (answer.status === 200) take(app, answer)
        busy.delete(app)
        expect(answer)
      },
    },
    'unknown token': { share: 5, run: async () => expect(await introspect(server, 'mat_nothing')) },
    discovery: {
      share: 4,
      async run() {
        for (const path of ['/.well-known/openid-configuration', '/oauth2/keys.json'])
          await (await fetch(`http://127.0.0.1:${server.port}${path}`)).arrayBuffer()
      },
    },
    'login page': { share: 5, run: async () => void (await browserOn([server]).open('/login')) },
    'wrong password': { share: 1, run: async () => void (await signIn(person(), 'not the password')) },
    'sign-in, app, sign-out': {
      share: 2,
      async run() {
        const name = person()
        const { browser } = await signIn(name, PASSWORD)
        await browser.open('/account/')
        const device = `${name.toUpperCase()}${++newcomers}`
        const scope = `openid urn:matrix:client:api:* urn:matrix:client:device:${device.padEnd(10, '0')}`
        const app = await exchange(await obtainCode(browser, clientId, { scope }))
        expect(await introspect(server, app.access))
        expect(await post(server, '/oauth2/revoke', { client_id: clientId, token: app.refresh }))
        await (await browser.open('/account/')).submit({}, { action: 'logout' })
      },
    },
    'sign-up': { share: 1, run: async () => void (await signUp(browserOn([server]), `new${++newcomers}`)) },
    'bad refresh': {
      share: 2,
      run: async () => expect(await presentRefresh(server, clientId, 'mar_nothing_of_the_sort'), 400),
    },
  }
  const wheel = Object.entries(actions).flatMap(([name, action]) =>
    Array.from({ length: action.share }, () => ({ name, ...action })),
  )
  // In turn and spread out, so that two runs do the same.
  const order = wheel.map((_, index) => wheel[(index * 37) % wheel.length])

  let all: number[] = []
  let introspection: number[] = []
  let failed = 0
  let step = 0
  const done = new Map<string, number>()
  const running = new Set<Promise<void>>()
  const one = async () => {
    const action = order[step++ % order.length]
    if (!action) return
    const begun = performance.now()
    try {
      await action.run()
      const took = performance.now() - begun
      all.push(took)
      if (action.name === 'introspection') introspection.push(took)
      done.set(action.name, (done.get(action.name) ?? 0) + 1)
    } catch (error) {
      failed++
      failures.push(`${action.name}: ${error instanceof Error ? error.message.slice(0, 300) : error}`)
    }
  }
  const begun = performance.now()
  let started = 0
  const timer = setInterval(() => {
    const due = ((performance.now() - begun) / 1000) * rate
    for (; started < due; started++) {
      const work = one()
      running.add(work)
      void work.finally(() => running.delete(work))
    }
  }, 10)
  return {
    failures,
    take() {
      const taken = { all, introspection, failures: failed }
      all = []
      introspection = []
      failed = 0
      return taken
    },
    text: () => [...done].map(([name, count]) => `${count} ${name}`).join(', '),
    async stop() {
      clearInterval(timer)
      await Promise.all(running)
    },
  }
}
