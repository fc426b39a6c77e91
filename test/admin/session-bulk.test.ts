import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startSession } from '../../src/identity/sessions.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminOf, makeUser } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, signedInApp } from '../support/oauth.ts'

const NOBODY = '01HZX1V2E3Q4R5S6T7V8W9XAYB'

let harness: Harness
let api: AdminCall
beforeAll(async () => {
  harness = await createHarness()
  ;({ api } = await adminOf(harness))
})
afterAll(() => harness.close())

const codeOf = ({ status, body }: { status: number; body: { errors: { code: string }[] } }) => [
  status,
  body.errors[0]?.code,
]

/** Signs a person in from a browser; gives the session as ULID. */
async function browserOf(userUuid: string): Promise<string> {
  const { id } = await harness.deps.sql.begin((tx) =>
    startSession(harness.deps, tx, userUuid, { ip: '192.0.2.7', userAgent: 'Firefox' }, 'password'),
  )
  return ulidFromUuid(id)
}

const activeOf = async (user: string, kind = 'user-sessions') =>
  (await api('GET', `/${kind}?count=only&filter[status]=active&filter[user]=${user}`)).body.meta.count

describe('POST /user-sessions/finish', () => {
  test('by ids: ends them, passes over ended and unknown ones, and writes each into the audit log', async () => {
    const { id, uuid } = await makeUser(harness, 'alice')
    const [first, second, third] = [await browserOf(uuid), await browserOf(uuid), await browserOf(uuid)]
    await api('POST', `/user-sessions/${second}/finish`)
    const { status, body } = await api('POST', '/user-sessions/finish', { ids: [first, second, NOBODY] })
    expect([status, body]).toEqual([200, { dry_run: false, ids: [first], more: false }])
    expect(await activeOf(id)).toBe(1)
    const { body: log } = await api('GET', `/audit-log?filter[action]=finishUserSessions`)
    expect(
      log.data.map(({ attributes }: { attributes: Record<string, unknown> }) => [
        attributes.target_type,
        attributes.target_id,
      ]),
    ).toEqual([['user-session', first]])
    expect((await api('GET', `/user-sessions/${third}`)).body.data.attributes.finished_at).toBeNull()
  })

  test('by filter, with a dry run that changes and records nothing', async () => {
    const { id, uuid } = await makeUser(harness, 'bob')
    const old = await browserOf(uuid)
    harness.clock.advance(3600)
    const edge = harness.clock.now().toISOString()
    harness.clock.advance(3600)
    await browserOf(uuid)
    const asked = { filter: { user: id, last_active_before: edge } }
    const dry = await api('POST', '/user-sessions/finish', { ...asked, dry_run: true })
    expect(dry.body).toEqual({ dry_run: true, ids: [old], more: false })
    expect(await activeOf(id)).toBe(2)
    expect((await api('GET', `/audit-log?filter[target]=${old}`)).body.data).toEqual([])
    expect((await api('POST', '/user-sessions/finish', asked)).body.ids).toEqual([old])
    expect(await activeOf(id)).toBe(1)
    const { body } = await api('GET', `/events?filter[user]=${id}&filter[kind]=session_ended`)
    expect(body.data[0].attributes).toMatchObject({ source: 'account', actor: 'admin', target_id: id })
  })

  test.each([
    [{}, 400, 'invalid_body'],
    [{ ids: [NOBODY], filter: { user: NOBODY } }, 400, 'invalid_body'],
    [{ ids: [] }, 400, 'invalid_body'],
    [{ ids: Array.from({ length: 101 }, () => NOBODY) }, 400, 'invalid_body'],
    [{ ids: ['nope'] }, 400, 'invalid_body'],
    [{ filter: {} }, 400, 'invalid_body'],
    [{ filter: { status: 'active' } }, 400, 'invalid_body'],
    [{ filter: { client: [NOBODY] } }, 400, 'invalid_body'],
    [{ filter: { user: NOBODY } }, 404, 'not_found'],
    [{ filter: { created_before: '2026-02-30T25:00:00Z' } }, 400, 'invalid_body'],
    [{ dry: true }, 400, 'unknown_member'],
  ])('%j is refused: nothing is ended by mistake', async (body, status, code) => {
    expect(codeOf(await api('POST', '/user-sessions/finish', body))).toEqual([status, code])
  })
})

test('POST /oauth2-sessions/finish: tokens stop, the homeserver forgets the devices', async () => {
  const app = await signedInApp(harness, 'carol')
  const { id } = (await api('GET', '/users/by-username/carol')).body.data
  const asked = { filter: { user: id, client: [app.clientId] } }
  const { body } = await api('POST', '/oauth2-sessions/finish', asked)
  expect(body.ids).toHaveLength(1)
  expect(await introspect(harness, app.tokens.access_token)).toEqual({ active: false })
  await harness.runJobs()
  expect(harness.homeserver.users.get('carol')?.devices.size).toBe(0)
  expect((await api('POST', '/oauth2-sessions/finish', asked)).body.ids).toEqual([])
})

test('POST /compat-sessions/finish takes the same body', async () => {
  const { body } = await api('POST', '/compat-sessions/finish', {
    filter: { created_before: harness.clock.now().toISOString() },
  })
  expect(body).toEqual({ dry_run: false, ids: [], more: false })
})
