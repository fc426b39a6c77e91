import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'matrix-js-sdk'
import { parse } from 'yaml'
import { type Stack, startStack } from '../../src/commands/demo/demo.ts'
import { cacheDirectory } from '../../src/commands/demo/install-synapse.ts'
import type { StartLatchkey } from '../../src/commands/demo/start-latchkey.ts'
import { createHomeserver } from '../../src/matrix/homeserver/create.ts'
import { SILENT } from '../support/matrix-client.ts'
import { SYNAPSE_START_MS } from '../support/synapse.ts'

/** Stands in for Latchkey: discovery, and an introspection that takes `<localpart>/<device>` for a token. */
const startStandIn: StartLatchkey = async ({ url }) => {
  const server = Bun.serve({
    port: Number(new URL(url).port),
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/.well-known/openid-configuration') {
        const account = `${url}/account/`
        return Response.json({ issuer: `${url}/`, account_management_uri: account, extra: 'kept' })
      }
      if (pathname === '/oauth2/introspect') {
        const [username, device] = (new URLSearchParams(await request.text()).get('token') ?? '').split('/')
        const scope = `urn:matrix:client:api:* urn:matrix:client:device:${device}`
        const claims = { active: true, scope, username, device_id: device, sub: username, expires_in: 300 }
        return Response.json(device ? claims : { active: false })
      }
      return Response.json({ stand_in: pathname })
    },
  })
  return { url, stop: () => server.stop(true) }
}

let directory: string
let stack: Stack

const start = () =>
  startStack({
    directory,
    cacheDir: cacheDirectory(process.env),
    log: () => {},
    startLatchkey: startStandIn,
    ports: { latchkey: 0, synapse: 0, front: 0 },
  })

async function createUser(localpart: string, device: string) {
  const settings = { kind: 'synapse', homeserver: stack.serverName, endpoint: stack.synapseUrl } as const
  const homeserver = createHomeserver({ ...settings, secret: stack.secret }, { fetch })
  await homeserver.provisionUser({ localpart, sub: localpart, locked: false })
  await homeserver.upsertDevice(localpart, device)
  return createClient({
    baseUrl: stack.frontUrl,
    accessToken: `${localpart}/${device}`,
    userId: homeserver.mxid(localpart),
    deviceId: device,
    logger: SILENT,
  })
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'latchkey-demo-'))
  stack = await start()
}, SYNAPSE_START_MS)

afterAll(async () => {
  await stack?.stop()
  await rm(directory, { recursive: true, force: true })
})

describe('the demo, as a Matrix client sees it', () => {
  test('GET /_matrix/client/v1/auth_metadata: Synapse hands Latchkey’s document on whole (reference 2.3)', async () => {
    const response = await fetch(`${stack.frontUrl}/_matrix/client/v1/auth_metadata`)
    expect(await response.json()).toEqual({
      issuer: `${stack.latchkeyUrl}/`,
      account_management_uri: `${stack.latchkeyUrl}/account/`,
      extra: 'kept',
    })
  })

  test('GET /_matrix/client/v3/login is Latchkey’s', async () => {
    const response = await fetch(`${stack.frontUrl}/_matrix/client/v3/login`)
    expect(await response.json()).toEqual({ stand_in: '/_matrix/client/v3/login' })
  })

  test('matrix-js-sdk reads the versions through the front without signing in', async () => {
    const client = createClient({ baseUrl: stack.frontUrl, logger: SILENT })
    expect((await client.getVersions()).versions).toContain('v1.15')
  })

  test('matrix-js-sdk: two people share a room, and a message arrives over sync', async () => {
    const [ada, bob] = [await createUser('ada', 'ADADEVICE'), await createUser('bob', 'BOBDEVICE')]
    expect(await ada.whoami()).toMatchObject({ user_id: '@ada:localhost', device_id: 'ADADEVICE' })

    const { room_id: roomId } = await ada.createRoom({ invite: ['@bob:localhost'] })
    await bob.joinRoom(roomId)
    const received = new Promise<string>((resolve) => {
      bob.on(
        'Room.timeline' as Parameters<typeof bob.on>[0],
        ((event: { getContent(): { body?: string } }) => {
          const { body } = event.getContent()
          if (body) resolve(body)
        }) as Parameters<typeof bob.on>[1],
      )
    })
    await bob.startClient({ initialSyncLimit: 1 })
    await ada.sendTextMessage(roomId, 'hello over the front')
    expect(await received).toBe('hello over the front')
    bob.stopClient()
  }, 180_000)

  test('a token that Latchkey calls inactive is M_UNKNOWN_TOKEN (reference 10.2)', async () => {
    const client = createClient({ baseUrl: stack.frontUrl, accessToken: 'unknown', logger: SILENT })
    await expect(client.whoami()).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', httpStatus: 401 })
  })
})

describe('the files of the demo', () => {
  test('only the owner can read what holds secrets', async () => {
    for (const name of ['secrets.json', 'config.yaml', 'synapse/homeserver.yaml']) {
      expect((await stat(join(directory, name))).mode & 0o077).toBe(0)
    }
  })

  test('both sides have the same secret and server name', async () => {
    const latchkey = parse(await readFile(join(directory, 'config.yaml'), 'utf8'))
    const synapse = parse(await readFile(join(directory, 'synapse/homeserver.yaml'), 'utf8'))
    expect(latchkey.matrix.secret).toBe(synapse.matrix_authentication_service.secret)
    expect(latchkey.matrix.homeserver).toBe(synapse.server_name)
    expect(synapse.listeners.flatMap((one: { resources: unknown }) => one.resources)).toEqual([
      { names: ['client', 'health'] },
    ])
  })

  test('a second start in the same directory keeps the people', async () => {
    const before = stack
    await stack.stop()
    await expect(fetch(before.frontUrl)).rejects.toThrow()
    await expect(fetch(before.synapseUrl)).rejects.toThrow()
    stack = await start()
    expect(stack.secret).toBe(before.secret)
    const settings = { kind: 'synapse', homeserver: 'localhost', endpoint: stack.synapseUrl } as const
    const homeserver = createHomeserver({ ...settings, secret: stack.secret }, { fetch })
    expect(await homeserver.queryUser('ada')).toMatchObject({ displayName: 'ada' })
  }, 180_000)
})
