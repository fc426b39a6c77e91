import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHomeserver } from '../../src/matrix/homeserver/create.ts'
import type { Homeserver } from '../../src/matrix/homeserver/homeserver.ts'
import { describeHomeserver } from '../matrix/homeserver/contract.ts'
import { SYNAPSE_START_MS, startTestSynapse, type TestSynapse } from '../support/synapse.ts'

const SECRET = 'secret-of-the-homeserver-test'
const ADMIN_TOKEN = 'token-of-the-admin'

let synapse: TestSynapse
let homeserver: Homeserver
let introspection: ReturnType<typeof startIntrospection>

/** Plays Latchkey's introspection endpoint, so that Synapse's admin API can be asked what devices it has. */
function startIntrospection() {
  const credentials: Array<string | null> = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      if (new URL(request.url).pathname !== '/oauth2/introspect') return new Response(null, { status: 404 })
      credentials.push(request.headers.get('authorization'))
      const form = new URLSearchParams(await request.text())
      const person = /^as-(.+)$/.exec(form.get('token') ?? '')?.[1]
      if (person !== undefined)
        return Response.json({
          active: true,
          scope: 'urn:matrix:client:api:* urn:matrix:org.matrix.msc2967.client:api:*',
          username: person,
          sub: person,
          expires_in: 60,
        })
      if (form.get('token') !== ADMIN_TOKEN) return Response.json({ active: false })
      const scope = 'urn:matrix:client:api:* urn:synapse:admin:*'
      return Response.json({ active: true, scope, username: 'admin', sub: 'admin', expires_in: 300 })
    },
  })
  return { url: server.url.href, credentials, stop: () => server.stop(true) }
}

const connect = (secret: string, endpoint = synapse.url): Homeserver =>
  createHomeserver({ kind: 'synapse', homeserver: synapse.serverName, endpoint, secret }, { fetch })

const devicesOf = (localpart: string) => listDevices(synapse, localpart, ADMIN_TOKEN)

/** What Synapse's admin API tells about a user, or below it. */
async function askAdmin(
  { url, serverName }: TestSynapse,
  localpart: string,
  token: string,
  below = '',
): Promise<unknown> {
  const user = encodeURIComponent(`@${localpart}:${serverName}`)
  const response = await fetch(`${url}/_synapse/admin/v2/users/${user}${below}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  return response.json()
}

async function listDevices(synapse: TestSynapse, localpart: string, token: string): Promise<string[]> {
  const answer = await askAdmin(synapse, localpart, token, '/devices')
  return (answer as { devices: { device_id: string }[] }).devices.map(({ device_id }) => device_id).sort()
}

async function findAccount(synapse: TestSynapse, localpart: string, token: string) {
  const { threepids, locked } = (await askAdmin(synapse, localpart, token)) as {
    threepids: { medium: string; address: string }[]
    locked: boolean
  }
  return { emails: threepids.map(({ address }) => address).sort(), locked }
}

beforeAll(async () => {
  introspection = startIntrospection()
  synapse = await startTestSynapse({ latchkeyUrl: introspection.url, secret: SECRET })
  homeserver = connect(SECRET)
  await homeserver.provisionUser({ localpart: 'admin', sub: 'admin', locked: false })
}, SYNAPSE_START_MS)

afterAll(async () => {
  await synapse?.stop()
  await introspection?.stop()
})

describeHomeserver('the Synapse client against Synapse', () => ({
  homeserver,
  devicesOf,
  accountOf: (localpart) => findAccount(synapse, localpart, ADMIN_TOKEN),
  tokenOf: (localpart) => `as-${localpart}`,
}))

describe('the link between Synapse and Latchkey', () => {
  test('a wrong secret is refused with 403 (reference 10.1)', async () => {
    const call = connect('another').queryUser('admin')
    await expect(call).rejects.toMatchObject({ kind: 'refused', status: 403 })
  })

  test('an address without the API is refused, not taken for an absent user', async () => {
    const call = connect(SECRET, `${synapse.url}/elsewhere`).queryUser('admin')
    await expect(call).rejects.toMatchObject({ kind: 'refused', status: 404 })
  })

  test('Synapse asks the introspection endpoint, with the secret as a bearer token (reference 10.2)', async () => {
    await devicesOf('admin')
    expect(new Set(introspection.credentials)).toEqual(new Set([`Bearer ${SECRET}`]))
  })

  test('upsert_device: Synapse does not look whether the user is deactivated, so Latchkey has to', async () => {
    await homeserver.provisionUser({ localpart: 'leaver', sub: 'leaver', locked: false })
    await homeserver.deleteUser('leaver', false)
    await homeserver.upsertDevice('leaver', 'D')
    expect(await devicesOf('leaver')).toEqual(['D'])
  })
})

describe('Synapse before 1.136', () => {
  let legacy: TestSynapse
  const client = { id: '0000000000000000000SYNAPSE', secret: 'secret-of-the-client' }
  const connectLegacy = (secret: string) =>
    createHomeserver(
      { kind: 'synapse_legacy', homeserver: legacy.serverName, endpoint: legacy.url, secret },
      { fetch },
    )

  beforeAll(async () => {
    legacy = await startTestSynapse({
      latchkeyUrl: introspection.url,
      secret: SECRET,
      legacyClient: client,
    })
  }, SYNAPSE_START_MS)
  afterAll(() => legacy?.stop())

  describeHomeserver('the client of the admin API against Synapse', () => ({
    homeserver: connectLegacy(SECRET),
    devicesOf: (localpart) => listDevices(legacy, localpart, SECRET),
    accountOf: (localpart) => findAccount(legacy, localpart, SECRET),
    tokenOf: (localpart) => `as-${localpart}`,
  }))

  test('a wrong secret is taken for a token that is not active: refused', async () => {
    const call = connectLegacy('another').queryUser('admin')
    await expect(call).rejects.toMatchObject({ kind: 'refused', status: 401 })
  })
})
