import { describe, expect, test } from 'bun:test'
import type { Homeserver } from '../../../src/matrix/homeserver/homeserver.ts'

/** What a contract run needs: the client under test, and a look at what the homeserver has. */
export interface ContractSubject {
  homeserver: Homeserver
  devicesOf(localpart: string): string[] | Promise<string[]>
  /** The addresses, sorted, and the lock of a user. */
  accountOf(localpart: string): Account | Promise<Account>
  /** An access token with which the user may use the Matrix API. */
  tokenOf(localpart: string): string | Promise<string>
}

/** A picture of one pixel. */
const PNG = Uint8Array.fromBase64(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
)

type Account = { emails: string[]; locked: boolean }

/**
 * The requirements on a homeserver with the `/_synapse/mas` API. They run against the fake and against a real
 * Synapse, so that the fake can't drift.
 */
export function describeHomeserver(title: string, subject: () => ContractSubject): void {
  let count = 0
  const newName = () => `contract-${++count}`
  const provisioned = async () => {
    const localpart = newName()
    await subject().homeserver.provisionUser({ localpart, sub: localpart, emails: [], locked: false })
    return localpart
  }

  describe(title, () => {
    test('query_user: a user that is not there is undefined', async () => {
      expect(await subject().homeserver.queryUser(newName())).toBeUndefined()
    })

    test('provision_user: a new user is created, a second time updated (reference 10.1)', async () => {
      const { homeserver } = subject()
      const localpart = newName()
      const user = { localpart, sub: '01J00000000000000000000000', locked: false }
      const names = { displayName: 'Ada', avatarUrl: 'mxc://example.test/ada', emails: ['ada@example.test'] }

      expect(await homeserver.provisionUser({ ...user, ...names })).toEqual({ created: true })
      expect(await homeserver.queryUser(localpart)).toEqual({
        displayName: 'Ada',
        avatarUrl: 'mxc://example.test/ada',
        suspended: false,
        deactivated: false,
      })
      expect(await homeserver.provisionUser(user)).toEqual({ created: false })
      expect(await homeserver.queryUser(localpart)).toMatchObject({ displayName: 'Ada' })
    })

    test('provision_user: a new user without a name is called by the localpart', async () => {
      expect(await subject().homeserver.queryUser(await provisioned())).toMatchObject({
        displayName: expect.stringMatching(/^contract-\d+$/),
      })
    })

    test('provision_user: null unsets the names, undefined leaves them', async () => {
      const { homeserver } = subject()
      const localpart = newName()
      const user = { localpart, sub: localpart, locked: false }
      await homeserver.provisionUser({ ...user, displayName: 'Ada', avatarUrl: 'mxc://example.test/ada' })
      await homeserver.provisionUser({ ...user, displayName: null, avatarUrl: null, emails: [] })
      const found = await homeserver.queryUser(localpart)
      expect(found?.avatarUrl).toBeUndefined()
      expect(found?.displayName).toBeUndefined()
    })

    test('provision_user: the list of addresses replaces those that are there, none leaves them (edge 39)', async () => {
      const { homeserver, accountOf } = subject()
      const localpart = newName()
      const user = { localpart, sub: localpart, locked: false }
      const emailsAfter = async (emails?: string[]) => {
        await homeserver.provisionUser({ ...user, ...(emails && { emails }) })
        return (await accountOf(localpart)).emails
      }
      const [one, two, three] = ['1', '2', '3'].map((name) => `${localpart}-${name}@example.test`)
      if (!one || !two || !three) throw new Error('three addresses')
      expect(await emailsAfter([one, two])).toEqual([one, two])
      expect(await emailsAfter([two, three])).toEqual([two, three])
      expect(await emailsAfter()).toEqual([two, three])
      expect(await emailsAfter([])).toEqual([])
    })

    test('provision_user: the lock is set and taken away, for a new user too', async () => {
      const { homeserver, accountOf } = subject()
      const localpart = newName()
      for (const locked of [true, false, true]) {
        await homeserver.provisionUser({ localpart, sub: localpart, locked })
        expect((await accountOf(localpart)).locked).toBe(locked)
      }
    })

    test('is_localpart_available: free names yes; taken, invalid and non-ASCII ones no', async () => {
      const { homeserver } = subject()
      expect(await homeserver.isLocalpartAvailable(newName())).toBe(true)
      expect(await homeserver.isLocalpartAvailable(await provisioned())).toBe(false)
      for (const name of ['', 'UPPER', 'with space', '_underscore', 'a&localpart=b', 'a#b', 'zoë', '12345']) {
        expect(await homeserver.isLocalpartAvailable(name)).toBe(false)
      }
    })

    test('upsert_device: makes a device, and accepts one that exists', async () => {
      const { homeserver, devicesOf } = subject()
      const localpart = await provisioned()
      expect(await homeserver.upsertDevice(localpart, 'DEVICE1', 'Phone')).toEqual({ created: true })
      expect(await homeserver.upsertDevice(localpart, 'DEVICE1')).toEqual({ created: false })
      await homeserver.upsertDevice(localpart, 'a "b"\\/&é')
      expect(await devicesOf(localpart)).toEqual(['DEVICE1', 'a "b"\\/&é'])
    })

    test('delete_device: removes the device; one that is gone is no error', async () => {
      const { homeserver, devicesOf } = subject()
      const localpart = await provisioned()
      await homeserver.upsertDevice(localpart, 'DEVICE1')
      await homeserver.updateDeviceDisplayName(localpart, 'DEVICE1', 'Tablet')
      await homeserver.deleteDevice(localpart, 'DEVICE1')
      await homeserver.deleteDevice(localpart, 'DEVICE1')
      expect(await devicesOf(localpart)).toEqual([])
    })

    test('sync_devices: the list replaces the devices (edge 38)', async () => {
      const { homeserver, devicesOf } = subject()
      const localpart = await provisioned()
      await homeserver.upsertDevice(localpart, 'OLD')
      await homeserver.upsertDevice(localpart, 'KEPT')
      await homeserver.syncDevices(localpart, ['KEPT', 'NEW'])
      expect(await devicesOf(localpart)).toEqual(['KEPT', 'NEW'])
      await homeserver.syncDevices(localpart, [])
      expect(await devicesOf(localpart)).toEqual([])
    })

    test('set_displayname and unset_displayname change the name', async () => {
      const { homeserver } = subject()
      const localpart = await provisioned()
      await homeserver.setDisplayName(localpart, 'Ada <b>& co</b>')
      expect(await homeserver.queryUser(localpart)).toMatchObject({ displayName: 'Ada <b>& co</b>' })
      await homeserver.unsetDisplayName(localpart)
      expect((await homeserver.queryUser(localpart))?.displayName).toBeUndefined()
    })

    test('set_avatar_url sets and takes away the picture, and changes nothing else', async () => {
      const { homeserver, accountOf } = subject()
      const localpart = await provisioned()
      const emails = [`${localpart}@example.test`]
      await homeserver.provisionUser({ localpart, sub: localpart, emails, locked: false })
      await homeserver.setAvatarUrl(localpart, 'mxc://example.test/ada')
      expect(await homeserver.queryUser(localpart)).toMatchObject({
        displayName: localpart,
        avatarUrl: 'mxc://example.test/ada',
      })
      expect(await accountOf(localpart)).toEqual({ emails, locked: false })
      await homeserver.setAvatarUrl(localpart, null)
      expect((await homeserver.queryUser(localpart))?.avatarUrl).toBeUndefined()
    })

    test('media: a picture that a person’s token uploads can be had again, small', async () => {
      const { homeserver, tokenOf } = subject()
      const token = await tokenOf(await provisioned())
      const uri = await homeserver.uploadMedia(token, { type: 'image/png', bytes: PNG })
      expect(uri).toMatch(/^mxc:\/\//)
      const small = await homeserver.thumbnail(token, uri)
      expect(small?.bytes.subarray(0, 4)).toEqual(PNG.subarray(0, 4))
      for (const none of [`${uri}x`, 'mxc://example.test/../secret', 'https://example.test/x'])
        expect(await homeserver.thumbnail(token, none)).toBeUndefined()
    })

    test('media: a token that is not good is no way in, nor is the shared secret', async () => {
      const { homeserver } = subject()
      const upload = homeserver.uploadMedia('nobody', { type: 'image/png', bytes: PNG })
      await expect(upload).rejects.toMatchObject({ kind: 'refused', status: 401 })
    })

    test('delete_user: deactivates and removes the devices; reactivate_user makes the user active again', async () => {
      const { homeserver, devicesOf, accountOf } = subject()
      const localpart = await provisioned()
      const emails = [`${localpart}@example.test`]
      await homeserver.provisionUser({ localpart, sub: localpart, emails, locked: false })
      await homeserver.upsertDevice(localpart, 'DEVICE1')
      await homeserver.deleteUser(localpart, true)
      expect(await homeserver.queryUser(localpart)).toMatchObject({ deactivated: true })
      expect(await devicesOf(localpart)).toEqual([])
      expect((await accountOf(localpart)).emails).toEqual([])
      expect(await homeserver.isLocalpartAvailable(localpart)).toBe(false)
      await homeserver.reactivateUser(localpart)
      expect(await homeserver.queryUser(localpart)).toMatchObject({ deactivated: false })
    })

    test('delete_user: the name goes only with `erase`', async () => {
      const { homeserver } = subject()
      const [kept, erased] = [await provisioned(), await provisioned()]
      await homeserver.deleteUser(kept, false)
      await homeserver.deleteUser(erased, true)
      expect((await homeserver.queryUser(kept))?.displayName).toBe(kept)
      expect((await homeserver.queryUser(erased))?.displayName).toBeUndefined()
    })

    test('allow_cross_signing_reset: succeeds for a user without keys too', async () => {
      const { homeserver } = subject()
      expect(await homeserver.allowCrossSigningReset(await provisioned())).toBeUndefined()
    })

    test('every change of a user that is not there is rejected with 404 (reference 10.1)', async () => {
      const { homeserver } = subject()
      const changes: Array<() => Promise<unknown>> = [
        () => homeserver.upsertDevice('nobody', 'D'),
        () => homeserver.updateDeviceDisplayName('nobody', 'D', 'name'),
        () => homeserver.deleteDevice('nobody', 'D'),
        () => homeserver.syncDevices('nobody', []),
        () => homeserver.deleteUser('nobody', false),
        () => homeserver.reactivateUser('nobody'),
        () => homeserver.setDisplayName('nobody', 'name'),
        () => homeserver.unsetDisplayName('nobody'),
        () => homeserver.setAvatarUrl('nobody', 'mxc://example.test/ada'),
        () => homeserver.allowCrossSigningReset('nobody'),
      ]
      for (const change of changes) {
        await expect(change()).rejects.toMatchObject({
          kind: 'rejected',
          status: 404,
          errcode: 'M_NOT_FOUND',
        })
      }
    })

    test('update_device_display_name: a device that is not there is rejected with 404', async () => {
      const { homeserver } = subject()
      const change = homeserver.updateDeviceDisplayName(await provisioned(), 'NONE', 'name')
      await expect(change).rejects.toMatchObject({ kind: 'rejected', status: 404, errcode: 'M_NOT_FOUND' })
    })
  })
}
