import { afterAll, beforeAll, expect, test } from 'bun:test'
import { connect, createServer, type Server } from 'node:net'
import { createHomeserver } from '../../src/matrix/homeserver/create.ts'
import { listen, type Servers } from '../../src/server.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { API_SCOPE, deviceScope, signedInApp } from '../support/oauth.ts'
import { SYNAPSE_START_MS, startTestSynapse, type TestSynapse } from '../support/synapse.ts'

const DEVICE = 'HTTP2DEVICE'

let harness: Harness
let servers: Servers
let synapse: TestSynapse
let between: Server
/** How each connection from Synapse began. */
const beginnings: string[] = []

beforeAll(async () => {
  harness = await createHarness()
  const { config } = harness.deps
  const resources = [{ name: 'discovery' }, { name: 'oauth' }] as const
  const listeners = [{ resources, binds: [{ host: '127.0.0.1', port: 0 }] }]
  servers = await listen({ ...harness.deps, config: { ...config, http: { ...config.http, listeners } } })
  const target = Number(new URL(servers.addresses[0] ?? '').port)
  between = createServer((socket) => {
    const onwards = connect(target, '127.0.0.1')
    socket.once('data', (first) => beginnings.push(String(first).slice(0, 14)))
    socket.pipe(onwards).pipe(socket)
    for (const side of [socket, onwards]) side.on('error', () => socket.destroy())
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => between.once('listening', resolve))
  const { port } = between.address() as { port: number }
  synapse = await startTestSynapse({
    latchkeyUrl: `http://127.0.0.1:${port}/`,
    secret: config.matrix.secret,
    forceHttp2: true,
  })
}, SYNAPSE_START_MS)

afterAll(async () => {
  await synapse?.stop()
  await servers?.stop(0)
  between?.close()
  await harness?.close()
})

test('Synapse with `force_http2` asks about tokens over HTTP/2 in clear text, and a person is let in (decision 21)', async () => {
  const { clock, log } = harness.deps
  const homeserver = createHomeserver(
    { kind: 'synapse', homeserver: synapse.serverName, endpoint: synapse.url, secret: synapse.secret },
    { fetch, clock, log },
  )
  const { tokens } = await signedInApp(harness, 'alice', {
    scope: `openid ${API_SCOPE} ${deviceScope(DEVICE)}`,
  })
  await homeserver.provisionUser({ localpart: 'alice', sub: 'alice', locked: false })
  await homeserver.upsertDevice('alice', DEVICE)
  const who = (token: string) =>
    fetch(`${synapse.url}/_matrix/client/v3/account/whoami`, {
      headers: { authorization: `Bearer ${token}` },
    })
  const known = await who(tokens.access_token)
  expect([known.status, await known.json()]).toMatchObject([200, { device_id: DEVICE }])
  expect((await who('mat_unknown')).status).toBe(401)
  expect(beginnings.length).toBeGreaterThan(0)
  expect(new Set(beginnings)).toEqual(new Set(['PRI * HTTP/2.0']))
})
