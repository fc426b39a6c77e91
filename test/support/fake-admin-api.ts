import type { FakeHomeserver } from './fake-homeserver.ts'
import {
  badTypes,
  deactivate,
  type FakeUser,
  type Handler,
  isName,
  newUser,
  ok,
  onDevice,
  onUser,
  problem,
  type Reply,
  reactivate,
  refusalOf,
} from './fake-users.ts'

/** Method, path and name of each endpoint; `{user}` and `{device}` become `localpart` and `device_id`. */
const ROUTES: readonly [method: string, path: string, handler: Handler][] = [
  ['GET', '/_synapse/admin/v2/users/{user}', onUser(showUser)],
  ['PUT', '/_synapse/admin/v2/users/{user}', putUser],
  ['GET', '/_synapse/admin/v1/username_available', isAvailable],
  ['GET', '/_synapse/admin/v2/users/{user}/devices', onUser(listDevices)],
  ['POST', '/_synapse/admin/v2/users/{user}/devices', onDevice(makeDevice)],
  ['POST', '/_synapse/admin/v2/users/{user}/delete_devices', onUser(deleteDevices)],
  ['GET', '/_synapse/admin/v2/users/{user}/devices/{device}', onDevice(showDevice)],
  ['PUT', '/_synapse/admin/v2/users/{user}/devices/{device}', onDevice(renameDevice)],
  ['DELETE', '/_synapse/admin/v2/users/{user}/devices/{device}', onDevice(deleteDevice)],
  ['POST', '/_synapse/admin/v1/deactivate/{user}', onUser(deactivate)],
  [
    'POST',
    '/_synapse/admin/v1/users/{user}/_allow_cross_signing_replacement_without_uia',
    onUser(allowReset),
  ],
]

/** The endpoint of Synapse's admin API at a path; its name is `PUT /users/{user}` and the like. */
export function findAdminHandler(
  serverName: string,
  method: string,
  path: string,
): { name: string; handler: Handler | undefined; parameters: Record<string, string> } {
  for (const [routeMethod, template, handler] of ROUTES) {
    const pattern = template.replace('{user}', '(?<user>[^/]*)').replace('{device}', '(?<device>[^/]*)')
    const match = routeMethod === method ? new RegExp(`${pattern}$`).exec(path) : null
    if (!match) continue
    const { user, device } = match.groups ?? {}
    const mxid = user === undefined ? undefined : decodeURIComponent(user)
    const localpart = mxid === undefined ? undefined : localpartOf(mxid, serverName)
    return {
      name: `${method} ${template.replace(/^\/_synapse\/admin\/v\d/, '')}`,
      handler: mxid !== undefined && localpart === undefined ? () => foreign : handler,
      parameters: {
        ...(localpart !== undefined && { localpart }),
        ...(device !== undefined && { device_id: decodeURIComponent(device) }),
      },
    }
  }
  return { name: '', handler: undefined, parameters: {} }
}

const foreign: Reply = problem(400, 'M_UNKNOWN', 'Can only look up local users')

const localpartOf = (mxid: string, serverName: string): string | undefined =>
  mxid.startsWith('@') && mxid.endsWith(`:${serverName}`) ? mxid.slice(1, -serverName.length - 1) : undefined

function showUser(user: FakeUser): Reply {
  const of = (medium: string) => (address: string) => ({ medium, address, added_at: 0, validated_at: 0 })
  return {
    status: 200,
    body: {
      displayname: user.displayName ?? null,
      avatar_url: user.avatarUrl ?? null,
      threepids: [...user.emails.map(of('email')), ...user.telephones.map(of('msisdn'))],
      external_ids: user.externalIds,
      locked: user.locked,
      suspended: user.suspended,
      deactivated: user.deactivated,
    },
  }
}

/** Changes the user, or makes one that is not there; a new one takes no lock. */
function putUser(fake: FakeHomeserver, parameters: Record<string, unknown>): Reply {
  const { localpart, displayname, avatar_url: avatarUrl, threepids, external_ids: ids } = parameters
  if (typeof localpart !== 'string' || !isName(displayname) || !isName(avatarUrl)) return badTypes
  const known = fake.users.get(localpart)
  const user = known ?? newUser(localpart)
  fake.users.set(localpart, user)
  if (displayname === '') delete user.displayName
  else if (displayname !== undefined) user.displayName = displayname
  if (avatarUrl === '') delete user.avatarUrl
  else if (avatarUrl !== undefined) user.avatarUrl = avatarUrl
  if (Array.isArray(threepids)) {
    const of = (medium: string) => threepids.filter((one) => one.medium === medium).map((one) => one.address)
    user.emails = of('email')
    user.telephones = of('msisdn')
  }
  if (Array.isArray(ids)) user.externalIds = ids
  if (parameters.deactivated === false) reactivate(user)
  if (known && typeof parameters.locked === 'boolean') user.locked = parameters.locked
  return { ...showUser(user), status: known ? 200 : 201 }
}

function isAvailable(fake: FakeHomeserver, { username }: Record<string, unknown>): Reply {
  const refusal = refusalOf(fake, String(username))
  return refusal ?? { status: 200, body: { available: true } }
}

function listDevices(user: FakeUser): Reply {
  const devices = [...user.devices].map(([id, name]) => ({
    device_id: id,
    display_name: name ?? null,
    ...(user.dehydrated !== undefined && { dehydrated: id === user.dehydrated }),
  }))
  return { status: 200, body: { devices, total: devices.length } }
}

function makeDevice(user: FakeUser, deviceId: string): Reply {
  if (!user.devices.has(deviceId)) user.devices.set(deviceId, undefined)
  return { status: 201, body: {} }
}

function deleteDevices(user: FakeUser, { devices }: Record<string, unknown>): Reply {
  if (!Array.isArray(devices)) return badTypes
  for (const id of devices) user.devices.delete(id)
  return ok
}

const noDevice: Reply = problem(404, 'M_NOT_FOUND', 'No device found')

function showDevice(user: FakeUser, deviceId: string): Reply {
  return user.devices.has(deviceId) ? { status: 200, body: { device_id: deviceId } } : noDevice
}

function renameDevice(
  user: FakeUser,
  deviceId: string,
  { display_name: name }: Record<string, unknown>,
): Reply {
  if (!user.devices.has(deviceId)) return noDevice
  if (typeof name !== 'string') return badTypes
  user.devices.set(deviceId, name)
  return ok
}

function deleteDevice(user: FakeUser, deviceId: string): Reply {
  user.devices.delete(deviceId)
  return ok
}

function allowReset(user: FakeUser): Reply {
  if (!user.hasKeys) return problem(404, 'M_NOT_FOUND', 'User has no master cross-signing key')
  user.crossSigningResets += 1
  return { status: 200, body: { updatable_without_uia_before_ms: 0 } }
}
