import { afterAll, beforeAll, expect, test } from 'bun:test'
import { insertBrowserSession } from '../../../sql/browser-sessions.ts'
import { fulfilCompatLogin, insertCompatLogin } from '../../../sql/compat-logins.ts'
import { addSeconds } from '../../../src/lib/clock.ts'
import { sha256 } from '../../../src/lib/digest.ts'
import { randomString } from '../../../src/lib/random.ts'
import { newId } from '../../../src/lib/ulid.ts'
import { type FaultyProxy, faultyProxy } from '../../support/faulty-proxy.ts'
import { createHarness, type Harness } from '../../support/harness.ts'
import {
  createPerson,
  introspectLegacy,
  legacyLogin,
  passwordLogin,
  postMatrix,
  refreshLegacy,
} from '../../support/legacy.ts'
import { recover } from '../../support/world.ts'

let direct: Harness
let way: FaultyProxy
let harness: Harness
let alice: string
beforeAll(async () => {
  direct = await createHarness()
  alice = await createPerson(direct, 'alice')
  await legacyLogin(direct, 'alice')
  way = await faultyProxy(direct.database.uri)
  harness = await createHarness({ beside: direct, databaseUri: () => way.uri })
})
afterAll(async () => {
  await harness.close()
  await way.close()
  await direct.close()
})

/** Packets that a login takes from the server at most. */
const MOST = 30

/** Ends the trouble. A lease that was taken without our hearing of it runs out by itself; the clock stands still here. */
async function heal(): Promise<void> {
  await recover({ deps: harness.deps, way, form: (path, fields) => harness.form(path, fields) })
  await direct.database.sql`delete from latchkey.user_leases`
}

/** Active sessions that no token opens: nobody could end them but the owner, and their device would stay. */
async function orphans(): Promise<number> {
  const [row] = await direct.database.sql<{ count: number }[]>`
    select count(*)::int as count from latchkey.compat_sessions s
    where s.finished_at is null and not exists (select from latchkey.compat_tokens t where t.session_id = s.id)`
  return row?.count ?? 0
}

/** A login token that alice approved a moment ago. */
async function approved(): Promise<string> {
  const { sql, random } = direct.deps
  const now = direct.clock.now()
  const [browserSessionId, id] = [newId(now, random), newId(now, random)]
  const secretHash = sha256(browserSessionId)
  await insertBrowserSession(sql, {
    id: browserSessionId,
    userId: alice,
    secretHash,
    userAgent: null,
    ip: null,
    method: 'password',
    now,
  })
  await insertCompatLogin(sql, { id, redirectUri: 'https://chat.example.com/', now })
  const token = randomString(random, 32)
  await fulfilCompatLogin(sql, id, {
    browserSessionId,
    tokenHash: sha256(token),
    since: addSeconds(now, -60),
    now,
  })
  return token
}

test('a login whose connection to the database breaks anywhere is a 503, and the same login token works after it', async () => {
  const statuses = new Set<number>()
  for (let answers = 0; answers < MOST; answers++) {
    const token = await approved()
    const body = { type: 'm.login.token', token, device_id: 'FAULTY' }
    way.breakAfter(answers)
    const first = await postMatrix(harness, 'login', body)
    await heal()
    statuses.add(first.status)
    expect([answers, [200, 503].includes(first.status)]).toEqual([answers, true])
    const last = first.status === 200 ? first : await postMatrix(harness, 'login', body)
    expect([answers, last.status, last.body.errcode]).toEqual([answers, 200, undefined])
    expect((await introspectLegacy(direct, String(last.body.access_token))).active).toBe(true)
    expect([answers, await orphans()]).toEqual([answers, 0])
  }
  expect([...statuses].sort()).toEqual([200, 503])
}, 180_000)

test('a login with a password leaves no session behind that nobody has a token of', async () => {
  for (let answers = 0; answers < MOST; answers++) {
    way.breakAfter(answers)
    const { status } = await postMatrix(harness, 'login', passwordLogin('alice', { device_id: 'FAULTY' }))
    await heal()
    expect([answers, [200, 503].includes(status)]).toEqual([answers, true])
    expect([answers, await orphans()]).toEqual([answers, 0])
  }
}, 180_000)

test('a refresh whose answer is lost gives the same pair again', async () => {
  const login = await legacyLogin(direct, 'alice', { refresh_token: true })
  let token = login.refresh_token ?? ''
  for (let answers = 0; answers < 6; answers++) {
    way.breakAfter(answers)
    const first = await refreshLegacy(harness, token)
    await heal()
    const again = await refreshLegacy(harness, token)
    expect([answers, again.status]).toEqual([answers, 200])
    if (first.status === 200) expect(again.body).toEqual(first.body)
    else expect(first.status).toBe(503)
    token = String(again.body.refresh_token)
  }
}, 180_000)
