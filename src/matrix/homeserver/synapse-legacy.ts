import { type Call, createCaller, pathOf, sharedDeadline, type Tools } from './call.ts'
import {
  type CallOptions,
  type Homeserver,
  HomeserverError,
  type HomeserverUser,
  type MatrixSettings,
  type ProvisionRequest,
} from './homeserver.ts'
import { mediaOf } from './media.ts'
import { isAscii } from './standalone.ts'
import { DELETE_USER_MS, isRejection, UNAVAILABLE } from './synapse.ts'

const HINTS = {
  secret: 'is matrix.secret the admin_token of experimental_features.msc3861 in homeserver.yaml?',
  api: 'is matrix.endpoint the address of Synapse, and does that listener serve /_synapse/admin?',
}

/** The provider under which Synapse's MSC3861 keeps the `sub` of an account, and looks people up by it. */
const OUR_PROVIDER = 'oauth-delegated'

/**
 * Synapse through its admin API: releases before 1.136, with `experimental_features.msc3861` (reference 10.1). Many
 * of its calls make a user that is not there, so the user is looked up first. Steps of several calls share a deadline;
 * each can be done again from the start.
 */
export function synapseLegacyHomeserver(
  matrix: Pick<MatrixSettings, 'homeserver' | 'endpoint' | 'secret'>,
  tools: Tools,
): Homeserver {
  const call = createCaller(matrix, { ...tools, hints: HINTS })
  const mxid = (localpart: string) => `@${localpart}:${matrix.homeserver}`
  const userPath = (localpart: string) => `_synapse/admin/v2/users/${pathOf(mxid(localpart))}`
  const devicePath = (localpart: string, deviceId: string) =>
    `${userPath(localpart)}/devices/${pathOf(deviceId)}`

  /** The user as the admin API shows it. @throws HomeserverError 404 when there is none of that name */
  const readUser = async (localpart: string, options: CallOptions) => {
    const request: Call = { name: 'user', method: 'GET', path: userPath(localpart), accepted: [200] }
    return (await call(request, options)).body
  }
  const putUser = (localpart: string, body: Record<string, unknown>, options: CallOptions) =>
    call({ name: 'user', method: 'PUT', path: userPath(localpart), body, accepted: [200, 201] }, options)
  /** Changes a user that exists: this call would make one that does not. */
  const changeUser = async (
    localpart: string,
    body: Record<string, unknown>,
    options?: CallOptions,
  ): Promise<void> => {
    const limits = sharedDeadline(options)
    await readUser(localpart, limits)
    await putUser(localpart, body, limits)
  }

  const hasDevice = async (localpart: string, deviceId: string, options: CallOptions): Promise<boolean> => {
    const path = devicePath(localpart, deviceId)
    try {
      await call({ name: 'device', method: 'GET', path, accepted: [200] }, options)
      return true
    } catch (error) {
      if (isRejection(error, 404)) return false
      throw error
    }
  }
  const makeDevice = (localpart: string, deviceId: string, options: CallOptions) =>
    call(
      {
        name: 'devices',
        method: 'POST',
        path: `${userPath(localpart)}/devices`,
        body: { device_id: deviceId },
        accepted: [201],
      },
      options,
    )
  const renameDevice = (localpart: string, deviceId: string, name: string, options?: CallOptions) =>
    call(
      {
        name: 'device',
        method: 'PUT',
        path: devicePath(localpart, deviceId),
        body: { display_name: name },
        accepted: [200],
      },
      options,
    )

  return {
    kind: 'synapse_legacy',
    serverName: matrix.homeserver,
    mxid,

    async queryUser(localpart, options = {}) {
      try {
        return userOf(await readUser(localpart, options))
      } catch (error) {
        if (isRejection(error, 404)) return undefined
        throw error
      }
    },

    async isLocalpartAvailable(localpart, options) {
      if (localpart === '' || !isAscii(localpart)) return false
      const path = '_synapse/admin/v1/username_available'
      const query = { username: localpart }
      try {
        const answer = await call(
          { name: 'username_available', method: 'GET', path, query, accepted: [200] },
          options,
        )
        return answer.body.available === true
      } catch (error) {
        if (isRejection(error, 400) && UNAVAILABLE.has(error.errcode ?? '')) return false
        throw error
      }
    },

    async provisionUser(user, options) {
      const limits = sharedDeadline(options)
      const before = await readUser(user.localpart, limits).catch((error: unknown) => {
        if (isRejection(error, 404)) return {}
        throw error
      })
      const { status } = await putUser(user.localpart, provisionBody(user, before), limits)
      // A new user takes no lock: said again to the one that exists now.
      if (status === 201 && user.locked) await putUser(user.localpart, provisionBody(user, before), limits)
      return { created: status === 201 }
    },

    async upsertDevice(localpart, deviceId, displayName, options) {
      const limits = sharedDeadline(options)
      const created = !(await hasDevice(localpart, deviceId, limits))
      if (created) await makeDevice(localpart, deviceId, limits)
      if (displayName !== undefined) await renameDevice(localpart, deviceId, displayName, limits)
      return { created }
    },

    async updateDeviceDisplayName(localpart, deviceId, displayName, options) {
      await renameDevice(localpart, deviceId, displayName, options)
    },

    async deleteDevice(localpart, deviceId, options) {
      const path = devicePath(localpart, deviceId)
      await call({ name: 'device', method: 'DELETE', path, accepted: [200] }, options)
    },

    async syncDevices(localpart, deviceIds, options) {
      const limits = sharedDeadline(options)
      const path = `${userPath(localpart)}/devices`
      const listed = await call({ name: 'devices', method: 'GET', path, accepted: [200] }, limits)
      const there = devicesOf(listed.body)
      const surplus = [...there].filter((id) => !deviceIds.includes(id))
      if (surplus.length > 0) {
        const body = { devices: surplus }
        const request = { name: 'delete_devices', method: 'POST', body, accepted: [200] } as const
        await call({ ...request, path: `${userPath(localpart)}/delete_devices` }, limits)
      }
      for (const id of deviceIds) if (!there.has(id)) await makeDevice(localpart, id, limits)
    },

    async deleteUser(localpart, erase, options) {
      const path = `_synapse/admin/v1/deactivate/${pathOf(mxid(localpart))}`
      await call(
        { name: 'deactivate', method: 'POST', path, body: { erase }, accepted: [200] },
        { timeoutMs: DELETE_USER_MS, ...options },
      )
    },

    reactivateUser: (localpart, options) => changeUser(localpart, { deactivated: false }, options),

    setDisplayName: (localpart, displayName, options) =>
      changeUser(localpart, { displayname: displayName }, options),

    unsetDisplayName: (localpart, options) => changeUser(localpart, { displayname: '' }, options),

    setAvatarUrl: (localpart, uri, options) => changeUser(localpart, { avatar_url: uri ?? '' }, options),

    ...mediaOf(matrix, tools),

    async allowCrossSigningReset(localpart, options) {
      const limits = sharedDeadline(options)
      await readUser(localpart, limits)
      const path = `_synapse/admin/v1/users/${pathOf(mxid(localpart))}/_allow_cross_signing_replacement_without_uia`
      try {
        await call({ name: 'cross_signing', method: 'POST', path, body: {}, accepted: [200] }, limits)
      } catch (error) {
        // The user is there, so it is the keys that are not: the first ones need no permission.
        if (!isRejection(error, 404)) throw error
      }
    },
  }
}

/**
 * What a user is told to be. Lists replace those that are there: what is not ours (telephone numbers, other
 * providers) is sent back as it was.
 */
function provisionBody(user: ProvisionRequest, before: Record<string, unknown>): Record<string, unknown> {
  const emails = user.emails?.map((address) => ({ medium: 'email', address }))
  const others = membersOf(before.threepids, 'medium', 'address').filter(({ medium }) => medium !== 'email')
  const elsewhere = membersOf(before.external_ids, 'auth_provider', 'external_id')
  return {
    ...(user.displayName !== undefined && { displayname: user.displayName ?? '' }),
    ...(user.avatarUrl !== undefined && { avatar_url: user.avatarUrl ?? '' }),
    ...(emails && { threepids: [...others, ...emails] }),
    external_ids: [
      ...elsewhere.filter(({ auth_provider: provider }) => provider !== OUR_PROVIDER),
      { auth_provider: OUR_PROVIDER, external_id: user.sub },
    ],
    locked: user.locked,
  }
}

/** The objects of a list, each with these members only, where they are texts. */
function membersOf<Key extends string>(list: unknown, ...keys: Key[]): Record<Key, string>[] {
  if (!Array.isArray(list)) return []
  return list.flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null) return []
    const members = Object.fromEntries(
      Object.entries(item).filter(([key]) => keys.some((one) => one === key)),
    )
    return Object.values(members).every((value) => typeof value === 'string')
      ? [members as Record<Key, string>]
      : []
  })
}

function userOf(body: Record<string, unknown>): HomeserverUser {
  const { displayname, avatar_url: avatarUrl, deactivated } = body
  if (typeof deactivated !== 'boolean')
    throw new HomeserverError('unreachable', 'user: the answer lacks deactivated', { status: 200 })
  return {
    ...(typeof displayname === 'string' && displayname !== '' && { displayName: displayname }),
    ...(typeof avatarUrl === 'string' && avatarUrl !== '' && { avatarUrl }),
    // Releases before 1.112 suspend nobody and do not say so.
    suspended: body.suspended === true,
    deactivated,
  }
}

/** The devices of an answer, without the dehydrated one, which belongs to no session (MSC3814). */
function devicesOf(body: Record<string, unknown>): Set<string> {
  if (!Array.isArray(body.devices))
    throw new HomeserverError('unreachable', 'devices: the answer lacks devices', { status: 200 })
  return new Set(
    body.devices.flatMap((device: { device_id?: unknown; dehydrated?: unknown }) =>
      typeof device?.device_id === 'string' && device.dehydrated !== true ? [device.device_id] : [],
    ),
  )
}
