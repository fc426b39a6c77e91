import { type App, createApp } from '../../src/app.ts'
import type { Config, ConfigInput } from '../../src/config/schema.ts'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { createDeps, type Deps, type DepsOptions } from '../../src/deps.ts'
import { FORM } from '../../src/http/params.ts'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import { API_SCOPE } from '../../src/lib/scope.ts'
import type { Fetch } from '../../src/matrix/homeserver/homeserver.ts'
import type { Log, LogFields } from '../../src/telemetry/log.ts'
import { type Browser, createBrowser } from './browser.ts'
import { type TestClock, testClock } from './clock.ts'
import { testConfig } from './config.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { createFakeHomeserver, type FakeHomeserver } from './fake-homeserver.ts'
import { NO_LIMITS } from './limits.ts'

/** One event that was logged. */
export interface LogEntry {
  level: 'debug' | 'info' | 'warn' | 'error'
  event: string
  fields: LogFields
}

/** A whole Latchkey in this process: real PostgreSQL, a fake homeserver, a clock that the test moves. */
export interface Harness {
  app: App
  deps: Deps
  clock: TestClock
  homeserver: FakeHomeserver
  database: TestDatabase
  logged: LogEntry[]
  /** Scheme and host of `http.public_base`. */
  origin: string
  /** Sends a request; a path is taken below `origin`. */
  request(path: string, init?: RequestInit): Promise<Response>
  /** Posts a form. */
  form(path: string, fields: Record<string, string>, headers?: Record<string, string>): Promise<Response>
  browser(headers?: Record<string, string>): Browser
  /** Runs the jobs that are due. */
  runJobs(): Promise<void>
  close(): Promise<void>
}

/** argon2id is what production runs; tests hash with the cheapest bcrypt, or a suite would be mostly hashing. */
const FAST_PASSWORDS = { schemes: [{ version: 1, algorithm: 'bcrypt' as const, cost: 4 }] }

export interface HarnessOptions {
  config?: ConfigInput
  /** Where the database is, for tests that cut it off. */
  databaseUri?: (database: TestDatabase) => string
  /** Of `database.pooler`. */
  pooler?: 'transaction'
  /** Another process of the same deployment: its database, homeserver and clock are shared. */
  beside?: Harness
  /** Reaches a real homeserver, that of `config.matrix`, in place of the fake one. */
  fetch?: Fetch
  /** Reaches the other services of the configuration. */
  outgoingFetch?: Fetch
  /** Where the clock starts. */
  start?: string
  /** The authority of the certificates of clients' own servers, which are then reached on loopback. */
  clientAuthority?: string
  /** Where spans go. */
  tracing?: DepsOptions['tracing']
}

let signingKeys: Promise<{ kid: string; pem: string }[]> | undefined

type Introspection = { active: boolean; scope?: string; username?: string }

/** People come to the authorization endpoint from the app that wants an answer; with an empty `referer`, from nowhere. */
function fromItsApp(request: Request): Request {
  const { pathname, searchParams } = new URL(request.url)
  if (!pathname.endsWith('/authorize') || request.headers.has('referer')) return request
  const asked = searchParams.get('redirect_uri') ?? 'https://app.example.com/callback'
  if (/^https?:/.test(asked) && URL.canParse(asked)) request.headers.set('referer', new URL('/', asked).href)
  return request
}

/** Starts a Latchkey for one test file; call `close` at the end. */
export async function createHarness(options: HarnessOptions = {}): Promise<Harness> {
  const { beside } = options
  const database = beside?.database ?? (await createTestDatabase())
  const homeserver =
    beside?.homeserver ??
    createFakeHomeserver({ serverName: 'example.test', secret: 'test-shared-secret-of-matrix' })
  const config = await harnessConfig(homeserver, options.config)
  const clock = beside?.clock ?? testClock(options.start)
  const logged: LogEntry[] = []
  const { deps } = await createDeps({
    config,
    database: {
      uri: options.databaseUri?.(database) ?? database.uri,
      max_connections: 5,
      ...(options.pooler && { pooler: options.pooler }),
      // Short where a test stalls the way to it; a busy machine may need longer than that.
      connect_timeout: options.databaseUri ? 2 : 20,
    },
    log: recordingLog(logged),
    clock,
    fetch: options.fetch ?? homeserver.fetch,
    ...(options.tracing && { tracing: options.tracing }),
    ...(options.outgoingFetch && { outgoingFetch: options.outgoingFetch }),
    ...(options.clientAuthority !== undefined && {
      clientFetch: { allows: () => true, ca: options.clientAuthority },
    }),
  })
  const app = createApp(deps, config.http.listeners[0] ?? { resources: [] })
  const { origin } = new URL(config.http.public_base)
  const handle = (given: Request) => app.handle(fromItsApp(given))
  const request = (path: string, init: RequestInit = {}) => handle(new Request(new URL(path, origin), init))
  // As Synapse asks about every token that it is shown.
  homeserver.introspect ??= async (token) => {
    const answer = await request('/oauth2/introspect', {
      method: 'POST',
      headers: { 'content-type': FORM, authorization: `Bearer ${homeserver.secret}` },
      body: new URLSearchParams({ token }),
    })
    const { active, scope = '', username } = (await answer.json()) as Introspection
    return active && scope.split(' ').includes(API_SCOPE) ? username : undefined
  }
  return {
    app,
    deps,
    clock,
    homeserver,
    database,
    logged,
    origin,
    request,
    form: (path, fields, headers = {}) =>
      request(path, {
        method: 'POST',
        body: new URLSearchParams(fields).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      }),
    browser: (headers = {}) => createBrowser(handle, { origin, headers }),
    runJobs: () => deps.jobs.runDue(jobHandlers(deps)),
    async close() {
      deps.policy.stop()
      await deps.jobs.stop()
      await deps.sql.end({ timeout: 1 })
      if (!beside) await database.drop()
    },
  }
}

async function harnessConfig(homeserver: FakeHomeserver, overrides: ConfigInput = {}): Promise<Config> {
  signingKeys ??= generateSigningKeys()
  const keys = await signingKeys
  return testConfig({
    matrix: { kind: 'synapse', endpoint: homeserver.endpoint },
    passwords: FAST_PASSWORDS,
    // Those of mail are as shipped: tests of mail say what they want.
    rate_limiting: { login: NO_LIMITS.login, registration: NO_LIMITS.registration },
    secrets: { keys: keys.map(({ kid, pem }) => ({ kid, key: pem })) },
    ...overrides,
    http: {
      listeners: [
        {
          resources: ['discovery', 'human', 'oauth', 'compat', 'adminapi', 'assets', 'health'].map(
            (name) => ({ name }),
          ),
          binds: [{ port: 8080 }],
        },
      ],
      ...overrides.http,
    },
  } as ConfigInput)
}

function recordingLog(entries: LogEntry[]): Log {
  const record =
    (level: LogEntry['level']) =>
    (event: string, fields: LogFields = {}) => {
      entries.push({ level, event, fields })
    }
  return { debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') }
}
