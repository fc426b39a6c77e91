import { createCaller, sharedDeadline, type Tools } from './call.ts'
import type { CallOptions, Homeserver, MatrixSettings, ProvisionRequest } from './homeserver.ts'
import { HomeserverError } from './homeserver.ts'
import { mediaOf } from './media.ts'
import { isAscii } from './standalone.ts'

/** Deactivating walks through everything that the user has, so it gets more than the usual 10 s. */
export const DELETE_USER_MS = 60_000

const HINTS = {
  secret: 'is matrix.secret the one in homeserver.yaml?',
  api: 'is matrix_authentication_service enabled in homeserver.yaml, and matrix.endpoint its address?',
}

/** Why a name cannot be had, as Synapse says it. */
export const UNAVAILABLE: ReadonlySet<string> = new Set([
  'M_USER_IN_USE',
  'M_INVALID_USERNAME',
  'M_EXCLUSIVE',
])

/** Synapse through its `/_synapse/mas` API (Synapse 1.136 or later; reference 10.1). */
export function synapseHomeserver(
  matrix: Pick<MatrixSettings, 'homeserver' | 'endpoint' | 'secret'>,
  tools: Tools,
): Homeserver {
  const request = createCaller(matrix, { ...tools, hints: HINTS })
  const query = (localpart: string, options?: CallOptions) => ask('query_user', { localpart }, options)
  const ask = (name: string, query: Record<string, string>, options?: CallOptions) =>
    request({ name, method: 'GET', path: `_synapse/mas/${name}`, query, accepted: [200] }, options)
  const tell = (
    name: string,
    body: Record<string, unknown>,
    accepted: readonly number[],
    options?: CallOptions,
  ) => request({ name, method: 'POST', path: `_synapse/mas/${name}`, body, accepted }, options)

  return {
    kind: 'synapse',
    serverName: matrix.homeserver,
    mxid: (localpart) => `@${localpart}:${matrix.homeserver}`,

    async queryUser(localpart, options) {
      try {
        return readUser((await query(localpart, options)).body)
      } catch (error) {
        if (isRejection(error, 404)) return undefined
        throw error
      }
    },

    async isLocalpartAvailable(localpart, options) {
      if (localpart === '' || !isAscii(localpart)) return false
      try {
        await ask('is_localpart_available', { localpart }, options)
        return true
      } catch (error) {
        if (isRejection(error, 400) && UNAVAILABLE.has(error.errcode ?? '')) return false
        throw error
      }
    },

    async provisionUser(user, options) {
      const answer = await tell('provision_user', provisionBody(user), [200, 201], options)
      return { created: answer.status === 201 }
    },

    async upsertDevice(localpart, deviceId, displayName, options) {
      const body = { localpart, device_id: deviceId, display_name: displayName }
      const answer = await tell('upsert_device', body, [200, 201], options)
      return { created: answer.status === 201 }
    },

    async updateDeviceDisplayName(localpart, deviceId, displayName, options) {
      const body = { localpart, device_id: deviceId, display_name: displayName }
      await tell('update_device_display_name', body, [200], options)
    },

    async deleteDevice(localpart, deviceId, options) {
      await tell('delete_device', { localpart, device_id: deviceId }, [200, 204], options)
    },

    async syncDevices(localpart, deviceIds, options) {
      await tell('sync_devices', { localpart, devices: deviceIds }, [200], options)
    },

    async deleteUser(localpart, erase, options) {
      const limits = { timeoutMs: DELETE_USER_MS, ...options }
      await tell('delete_user', { localpart, erase }, [200], limits)
    },

    async reactivateUser(localpart, options) {
      await tell('reactivate_user', { localpart }, [200], options)
    },

    async setDisplayName(localpart, displayName, options) {
      await tell('set_displayname', { localpart, displayname: displayName }, [200], options)
    },

    async unsetDisplayName(localpart, options) {
      await tell('unset_displayname', { localpart }, [200], options)
    },

    async setAvatarUrl(localpart, uri, options) {
      const limits = sharedDeadline(options)
      // This call would make a user that is not there.
      await query(localpart, limits)
      const body = uri === null ? { unset_avatar_url: true } : { set_avatar_url: uri }
      await tell('provision_user', { localpart, ...body }, [200], limits)
    },

    ...mediaOf(matrix, tools),

    async allowCrossSigningReset(localpart, options) {
      await tell('allow_cross_signing_reset', { localpart }, [200], options)
    },
  }
}

/** The body of `provision_user`: set or unset, never both (reference 10.1). An empty list of emails is a set. */
function provisionBody(user: ProvisionRequest): Record<string, unknown> {
  const body: Record<string, unknown> = { localpart: user.localpart, locked: user.locked }
  if (user.displayName === null) body.unset_displayname = true
  else if (user.displayName !== undefined) body.set_displayname = user.displayName
  if (user.avatarUrl === null) body.unset_avatar_url = true
  else if (user.avatarUrl !== undefined) body.set_avatar_url = user.avatarUrl
  if (user.emails !== undefined) body.set_emails = user.emails
  return body
}

function readUser(body: Record<string, unknown>) {
  const { display_name: displayName, avatar_url: avatarUrl, is_suspended: suspended } = body
  const deactivated = body.is_deactivated
  if (typeof suspended !== 'boolean' || typeof deactivated !== 'boolean') {
    throw new HomeserverError('unreachable', 'query_user: the answer lacks is_suspended or is_deactivated', {
      status: 200,
    })
  }
  return {
    ...(typeof displayName === 'string' && { displayName }),
    ...(typeof avatarUrl === 'string' && { avatarUrl }),
    suspended,
    deactivated,
  }
}

/** Whether the homeserver understood and said no with this status. */
export const isRejection = (error: unknown, status: number): error is HomeserverError =>
  error instanceof HomeserverError && error.kind === 'rejected' && error.status === status
