import { insertOAuthSession } from '../../sql/oauth-sessions.ts'
import { insertTokenPair } from '../../sql/tokens.ts'
import { insertUser } from '../../sql/users.ts'
import { createApp } from '../../src/app.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { deriveSecrets } from '../../src/crypto/seal.ts'
import { newToken, tokenDigest } from '../../src/crypto/tokens.ts'
import { createDeps, type Deps } from '../../src/deps.ts'
import { addSeconds } from '../../src/lib/clock.ts'
import { newId, uuidFromUlid } from '../../src/lib/ulid.ts'
import type { Fetch } from '../../src/matrix/homeserver/homeserver.ts'
import { type ProofKey, proofKey } from './dpop.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'
import { createHarness, type Harness } from './harness.ts'
import { registerClient } from './oauth.ts'

export interface Pair {
  access: string
  refresh: string
}

/** What the token endpoint answered. */
export interface Answer {
  status: number
  error: string | undefined
  retryAfter: string | null
  pair: Pair | undefined
}

/** Connections of each process. */
const POOL = 4

/** One of several Latchkeys on the same database, each with its own way to it. */
export interface Process {
  deps: Deps
  way: FaultyProxy
  form(path: string, fields: Record<string, string>, headers?: Record<string, string>): Promise<Response>
}

/** A database, the processes that serve it, a client. */
export interface World {
  harness: Harness
  processes: [Process, Process]
  clientId: string
  /** The key that every session is bound to, and every presented token is proven with, if there is one. */
  key?: ProofKey | undefined
  close(): Promise<void>
}

/** A person with one session, as it is after a code exchange. */
export interface Seed {
  userId: string
  sessionId: string
  pair: Pair
}

/** `bound`: with DPoP (RFC 9449). */
export async function createWorld(config: ConfigInput = {}, bound = false): Promise<World> {
  const harness = await createHarness({ config })
  const processes: [Process, Process] = [await startProcess(harness), await startProcess(harness)]
  const { client_id: clientId } = await registerClient(harness)
  return {
    harness,
    processes,
    clientId,
    ...(bound && { key: await proofKey(harness.clock) }),
    async close() {
      await Promise.all(processes.map(stopProcess))
      await harness.close()
    },
  }
}

/** Starts one more Latchkey on the database of a harness; `fetch` is its way to the homeserver. */
export async function startProcess(
  harness: Harness,
  fetch: Fetch = harness.homeserver.fetch,
): Promise<Process> {
  const way = await faultyProxy(harness.database.uri)
  const { config, log } = harness.deps
  const { deps } = await createDeps({
    config,
    database: { uri: way.uri, max_connections: POOL, connect_timeout: 20 },
    log,
    clock: harness.clock,
    fetch,
  })
  const app = createApp(deps, config.http.listeners[0] ?? { resources: [] })
  return {
    deps,
    way,
    form: (path, fields, headers = {}) =>
      app.handle(
        new Request(new URL(path, 'http://auth.test'), {
          method: 'POST',
          body: new URLSearchParams(fields).toString(),
          headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        }),
      ),
  }
}

export async function stopProcess({ deps, way }: Process): Promise<void> {
  await deps.jobs.stop()
  await deps.sql.end({ timeout: 1 })
  await way.close()
}

/** Ends the trouble of a process: connections that broke, but were not used since, are found out. */
export async function recover({ deps, way }: Process): Promise<void> {
  way.heal()
  for (let tries = 0; ; tries++) {
    const pings = Array.from({ length: POOL }, () => deps.sql`select 1`)
    const failed = (await Promise.allSettled(pings)).some(({ status }) => status === 'rejected')
    if (!failed) return
    if (tries > 20) throw new Error('The database does not come back.')
  }
}

let people = 0

/** Makes a person with a session and its first pair, without the pages on the way to it. */
export async function seedSession({ harness, clientId, key }: World): Promise<Seed> {
  const { clock, random, sql } = harness.deps
  const now = clock.now()
  const userId = newId(now, random)
  const sessionId = newId(now, random)
  const pair = { access: newToken('mat', random), refresh: newToken('mar', random) }
  const username = `person${++people}`
  await insertUser(sql, { id: userId, username, folded: username, displayName: null, isAdmin: false, now })
  await insertOAuthSession(sql, {
    id: sessionId,
    clientId: uuidFromUlid(clientId) ?? '',
    userId,
    browserSessionId: null,
    scope: ['openid', 'urn:matrix:client:api:*', 'urn:matrix:client:device:AAAAAAAAAA'],
    deviceId: 'AAAAAAAAAA',
    humanName: null,
    userAgent: null,
    ip: null,
    now,
  })
  await insertTokenPair(sql, {
    sessionId,
    id: newId(now, random),
    accessHash: tokenDigest(pair.access),
    refreshHash: tokenDigest(pair.refresh),
    expiresAt: addSeconds(now, 300),
    dpopJkt: key?.jkt,
  })
  return { userId, sessionId, pair }
}

/** Presents a refresh token to one process, with a proof of the key of the world, of another one, or of none. */
export async function present(
  { clientId, key: own }: World,
  process: Process,
  token: string,
  key: ProofKey | undefined = own,
): Promise<Answer> {
  const response = await process.form(
    '/oauth2/token',
    { grant_type: 'refresh_token', client_id: clientId, refresh_token: token },
    key ? { dpop: await key.proof('POST', '/oauth2/token') } : {},
  )
  const body = (await response.json()) as Record<string, string>
  return {
    status: response.status,
    error: body.error,
    retryAfter: response.headers.get('retry-after'),
    pair:
      response.status === 200
        ? { access: body.access_token ?? '', refresh: body.refresh_token ?? '' }
        : undefined,
  }
}

/** Whether the homeserver accepts an access token; 'outage' when it is told to ask again. */
export async function use(process: Process, token: string): Promise<boolean | 'outage'> {
  const response = await process.form(
    '/oauth2/introspect',
    { token },
    { authorization: 'Bearer test-shared-secret-of-matrix' },
  )
  if (response.status === 503) return 'outage'
  return ((await response.json()) as { active: boolean }).active
}

/** Revokes as an app does that signs out. */
export async function revoke({ clientId }: World, process: Process, token: string): Promise<number> {
  return (await process.form('/oauth2/revoke', { client_id: clientId, token })).status
}

/** Another `secrets.encryption` in every process, as after a restart. */
export async function changeKey({ processes }: World, hex: string): Promise<void> {
  const { refresh } = await deriveSecrets(hex.repeat(64).slice(0, 64))
  for (const { deps } of processes) deps.secrets.refresh = refresh
}

/** What the database holds of a session. */
export interface Stored {
  finished: boolean
  /** Refresh tokens that were not consumed. */
  liveRefresh: number
  refresh: number
  /** Access tokens that are neither replaced nor expired. */
  liveAccess: number
}

export async function readStored({ harness }: World, sessionId: string): Promise<Stored> {
  const [row] = await harness.database.sql<Stored[]>`
    select s.finished_at is not null as finished,
      (select count(*)::int from latchkey.tokens where session_id = s.id) as refresh,
      (select count(*)::int from latchkey.tokens where session_id = s.id and consumed_at is null) as "liveRefresh",
      (select count(*)::int from latchkey.tokens
        where session_id = s.id and consumed_at is null and expires_at > ${harness.clock.now()}) as "liveAccess"
    from latchkey.oauth_sessions s where s.id = ${sessionId}`
  if (!row) throw new Error('The session vanished.')
  return row
}

/** Whether a refresh token was replaced. */
export async function isConsumed({ harness }: World, token: string): Promise<boolean> {
  const [row] = await harness.database.sql<{ consumed: boolean }[]>`
    select consumed_at is not null as consumed from latchkey.tokens where refresh_hash = ${tokenDigest(token)}`
  return row?.consumed ?? false
}

/** Whether an access token was used. */
export async function isUsed({ harness }: World, token: string): Promise<boolean> {
  const [row] = await harness.database.sql<{ used: boolean }[]>`
    select first_used_at is not null as used from latchkey.tokens where access_hash = ${tokenDigest(token)}`
  return row?.used ?? false
}
