import { describe, expect, test } from 'bun:test'
import { createHomeserver } from '../../../src/matrix/homeserver/create.ts'
import type { Fetch } from '../../../src/matrix/homeserver/homeserver.ts'
import { createFakeHomeserver } from '../../support/fake-homeserver.ts'
import { describeHomeserver } from './contract.ts'

const SECRET = 'a-very-secret-secret'

function setUp(fetch?: Fetch) {
  const fake = createFakeHomeserver({ serverName: 'example.test', secret: SECRET })
  const matrix = { homeserver: 'example.test', endpoint: fake.endpoint, secret: SECRET }
  const homeserver = createHomeserver({ ...matrix, kind: 'synapse_legacy' }, { fetch: fetch ?? fake.fetch })
  return { fake, homeserver }
}

/** A client whose every call gets `response`, with the requests it made. */
function answering(response: (request: Request) => Response) {
  const requests: Request[] = []
  const { homeserver } = setUp(async (input, init) => {
    const request = new Request(input, init)
    requests.push(request)
    return response(request)
  })
  return { homeserver, requests }
}

const ada = { localpart: 'ada', sub: '01J00000000000000000000000', locked: false }

const shared = setUp()
shared.fake.introspect = async (token) => /^as-(.+)$/.exec(token)?.[1]
describeHomeserver('the client of the admin API against the fake', () => ({
  homeserver: shared.homeserver,
  devicesOf: shared.fake.devicesOf,
  accountOf: shared.fake.accountOf,
  tokenOf: (localpart) => `as-${localpart}`,
}))

describe('what is sent (reference 10.1)', () => {
  test('the Matrix id and the device are one part of the path each, whatever is in them', async () => {
    const { homeserver, requests } = answering(() => Response.json({}))
    await homeserver.deleteDevice('a/../b?c#d', 'E/F%G?h')
    expect(requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'DELETE http://homeserver.test/_synapse/admin/v2/users/%40a%2F..%2Fb%3Fc%23d%3Aexample.test/devices/E%2FF%25G%3Fh',
    ])
    expect(requests[0]?.headers.get('authorization')).toBe(`Bearer ${SECRET}`)
  })

  test('a device id that a URL would swallow is never sent', async () => {
    const { homeserver, requests } = answering(() => Response.json({}))
    for (const id of ['', '.', '..'])
      await expect(homeserver.deleteDevice('ada', id)).rejects.toMatchObject({ kind: 'rejected' })
    expect(requests).toEqual([])
  })

  test('provision: the sub goes along as the id of our provider; other providers and telephones stay', async () => {
    const { fake, homeserver } = setUp()
    await homeserver.provisionUser({ ...ada, emails: ['ada@example.test'] })
    const user = fake.users.get('ada')
    expect(user?.externalIds).toEqual([{ auth_provider: 'oauth-delegated', external_id: ada.sub }])
    user?.telephones.push('491234')
    user?.externalIds.push({ auth_provider: 'oidc-shop', external_id: '7' })
    await homeserver.provisionUser({ ...ada, emails: ['new@example.test'] })
    await homeserver.provisionUser(ada)
    expect(fake.users.get('ada')).toMatchObject({
      emails: ['new@example.test'],
      telephones: ['491234'],
      externalIds: [
        { auth_provider: 'oidc-shop', external_id: '7' },
        { auth_provider: 'oauth-delegated', external_id: ada.sub },
      ],
    })
  })

  test('provision: a list of emails without any removes those that are there (edge 39)', async () => {
    const { fake, homeserver } = setUp()
    await homeserver.provisionUser({ ...ada, emails: ['ada@example.test'] })
    await homeserver.provisionUser({ ...ada, emails: [] })
    expect(fake.users.get('ada')?.emails).toEqual([])
  })

  test('provision: the lock is set, for a new user too, and taken away', async () => {
    const { fake, homeserver } = setUp()
    expect(await homeserver.provisionUser({ ...ada, locked: true })).toEqual({ created: true })
    expect(fake.users.get('ada')?.locked).toBe(true)
    await homeserver.provisionUser(ada)
    expect(fake.users.get('ada')?.locked).toBe(false)
  })

  test('sync_devices: what is right already is not touched, and the dehydrated device is spared', async () => {
    const { fake, homeserver } = setUp()
    await homeserver.provisionUser(ada)
    for (const id of ['KEPT', 'OLD', 'ASLEEP']) await homeserver.upsertDevice('ada', id)
    Object.assign(fake.users.get('ada') ?? {}, { dehydrated: 'ASLEEP' })
    fake.calls.length = 0
    await homeserver.syncDevices('ada', ['KEPT', 'NEW'])
    expect(fake.devicesOf('ada')).toEqual(['ASLEEP', 'KEPT', 'NEW'])
    expect(
      fake.calls.map(({ name, parameters }) => [name, parameters.devices ?? parameters.device_id]),
    ).toEqual([
      ['GET /users/{user}/devices', undefined],
      ['POST /users/{user}/delete_devices', ['OLD']],
      ['POST /users/{user}/devices', 'NEW'],
    ])
    fake.calls.length = 0
    await homeserver.syncDevices('ada', ['KEPT', 'NEW'])
    expect(fake.calls.map(({ name }) => name)).toEqual(['GET /users/{user}/devices'])
  })

  test('no change makes a user that is not there', async () => {
    const { fake, homeserver } = setUp()
    await expect(homeserver.reactivateUser('ada')).rejects.toMatchObject({ status: 404 })
    await expect(homeserver.setDisplayName('ada', 'Ada')).rejects.toMatchObject({ status: 404 })
    expect(fake.users.size).toBe(0)
  })

  test('allow_cross_signing_reset: is allowed for a user with keys', async () => {
    const { fake, homeserver } = setUp()
    await homeserver.provisionUser(ada)
    Object.assign(fake.users.get('ada') ?? {}, { hasKeys: true })
    await homeserver.allowCrossSigningReset('ada')
    expect(fake.users.get('ada')?.crossSigningResets).toBe(1)
  })
})

describe('what goes wrong', () => {
  test('a wrong secret is refused, with a word on which one it has to be', async () => {
    const { fake, homeserver } = setUp()
    fake.secret = 'another'
    const call = homeserver.queryUser('ada')
    await expect(call).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('admin_token'),
    })
  })

  test('an address without the admin API is refused, not taken for an absent user', async () => {
    const { homeserver } = answering(() => Response.json({ errcode: 'M_UNRECOGNIZED' }, { status: 404 }))
    await expect(homeserver.queryUser('ada')).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('/_synapse/admin'),
    })
  })

  test('answers without what they have to say are not believed', async () => {
    const { homeserver } = answering(() => Response.json({}))
    await expect(homeserver.queryUser('ada')).rejects.toMatchObject({ kind: 'unreachable' })
    await expect(homeserver.syncDevices('ada', [])).rejects.toMatchObject({ kind: 'unreachable' })
    expect(await homeserver.isLocalpartAvailable('ada')).toBe(false)
  })

  test('the calls of one step share its deadline', async () => {
    const { fake, homeserver } = setUp()
    await homeserver.provisionUser(ada)
    const slow = setUp(async (input, init) => {
      await Bun.sleep(40)
      init?.signal?.throwIfAborted()
      return fake.fetch(input, init)
    })
    // Three calls of 40 ms each.
    const step = slow.homeserver.upsertDevice('ada', 'D', 'Phone', { timeoutMs: 100 })
    await expect(step).rejects.toMatchObject({ kind: 'unreachable' })
  })
})
