import { describe, expect, test } from 'bun:test'
import { createHomeserver } from '../../../src/matrix/homeserver/create.ts'
import type { MatrixSettings } from '../../../src/matrix/homeserver/homeserver.ts'
import { createFakeHomeserver } from '../../support/fake-homeserver.ts'

function create(kind: MatrixSettings['kind']) {
  const fake = createFakeHomeserver({ serverName: 'example.test', secret: 'secret' })
  const matrix = { kind, homeserver: 'example.test', endpoint: fake.endpoint, secret: 'secret' }
  return { fake, homeserver: createHomeserver(matrix, { fetch: fake.fetch }) }
}

describe('matrix.kind', () => {
  test('a Matrix id is made of the localpart and the server name', () => {
    expect(create('synapse').homeserver.mxid('ada')).toBe('@ada:example.test')
    expect(create('standalone').homeserver.mxid('ada')).toBe('@ada:example.test')
  })

  test('synapse_read_only: questions are asked, changes are refused without a call (reference 10.1)', async () => {
    const { fake, homeserver } = create('synapse_read_only')
    expect(homeserver.kind).toBe('synapse_read_only')
    expect(await homeserver.isLocalpartAvailable('ada')).toBe(true)
    expect(await homeserver.queryUser('ada')).toBeUndefined()
    const changes = [
      homeserver.provisionUser({ localpart: 'ada', sub: 'S', locked: false }),
      homeserver.upsertDevice('ada', 'D'),
      homeserver.updateDeviceDisplayName('ada', 'D', 'name'),
      homeserver.deleteDevice('ada', 'D'),
      homeserver.syncDevices('ada', []),
      homeserver.deleteUser('ada', false),
      homeserver.reactivateUser('ada'),
      homeserver.setDisplayName('ada', 'Ada'),
      homeserver.unsetDisplayName('ada'),
      homeserver.allowCrossSigningReset('ada'),
    ]
    for (const outcome of await Promise.allSettled(changes)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { kind: 'refused' } })
    }
    expect(fake.calls.map((call) => call.name)).toEqual(['is_localpart_available', 'query_user'])
  })

  test('standalone: every call succeeds and nothing is sent', async () => {
    const { fake, homeserver } = create('standalone')
    fake.down = true
    expect(await homeserver.isLocalpartAvailable('ada')).toBe(true)
    expect(await homeserver.isLocalpartAvailable('zoë')).toBe(false)
    expect(await homeserver.queryUser('ada')).toEqual({ suspended: false, deactivated: false })
    await homeserver.upsertDevice('ada', 'D')
    await homeserver.syncDevices('ada', ['D'])
    await homeserver.deleteUser('ada', true)
    expect(fake.calls).toEqual([])
  })
})
