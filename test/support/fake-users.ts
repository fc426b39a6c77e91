import type { FakeHomeserver } from './fake-homeserver.ts'

/** A user as the fake keeps it. */
export interface FakeUser {
  displayName?: string
  avatarUrl?: string
  emails: string[]
  locked: boolean
  suspended: boolean
  deactivated: boolean
  erased: boolean
  /** Only the admin API sets and shows these. */
  telephones: string[]
  externalIds: { auth_provider: string; external_id: string }[]
  /** Whether the person has cross-signing keys. */
  hasKeys: boolean
  /** How often a cross-signing reset was allowed. */
  crossSigningResets: number
  /** Device id to its name. */
  devices: Map<string, string | undefined>
  /** The id of the device that waits without a session (MSC3814). */
  dehydrated?: string
}

export type Reply = { status: number; body: Record<string, unknown> | undefined }
export type Handler = (fake: FakeHomeserver, parameters: Record<string, unknown>) => Reply

export const problem = (status: number, errcode: string, error: string): Reply => ({
  status,
  body: { errcode, error },
})
export const ok: Reply = { status: 200, body: {} }
export const badTypes = problem(400, 'M_INVALID_PARAM', 'a member has the wrong type')

/** Why a new user may not have the name; undefined when it is free. */
export function refusalOf(fake: FakeHomeserver, localpart: string): Reply | undefined {
  if (!/^[a-z0-9._=/+-]+$/.test(localpart) || localpart.startsWith('_') || /^\d+$/.test(localpart))
    return problem(400, 'M_INVALID_USERNAME', 'User ID has characters that are not allowed')
  if (fake.users.has(localpart)) return problem(400, 'M_USER_IN_USE', 'User ID already taken.')
  if (fake.exclusive.has(localpart))
    return problem(400, 'M_EXCLUSIVE', 'This user ID is reserved by an application service.')
  return undefined
}

/** `action` on an existing user, or 404. */
export const onUser =
  (action: (user: FakeUser, parameters: Record<string, unknown>, fake: FakeHomeserver) => Reply): Handler =>
  (fake, parameters) => {
    if (typeof parameters.localpart !== 'string') return badTypes
    const user = fake.users.get(parameters.localpart)
    return user ? action(user, parameters, fake) : problem(404, 'M_NOT_FOUND', 'User not found')
  }

/** `action` on an existing user and a given device id. */
export const onDevice = (
  action: (user: FakeUser, deviceId: string, parameters: Record<string, unknown>) => Reply,
): Handler =>
  onUser((user, parameters) =>
    typeof parameters.device_id === 'string' ? action(user, parameters.device_id, parameters) : badTypes,
  )

export const isName = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === 'string'

export function deactivate(user: FakeUser, { erase }: Record<string, unknown>): Reply {
  if (typeof erase !== 'boolean') return badTypes
  user.deactivated = true
  user.erased = erase
  user.devices.clear()
  user.emails = []
  user.telephones = []
  if (!erase) return ok
  delete user.displayName
  delete user.avatarUrl
  return ok
}

export function reactivate(user: FakeUser): Reply {
  user.deactivated = false
  user.erased = false
  return ok
}

/** A user as registration makes it: called by the localpart. */
export const newUser = (localpart: string): FakeUser => ({
  displayName: localpart,
  emails: [],
  locked: false,
  suspended: false,
  deactivated: false,
  erased: false,
  telephones: [],
  externalIds: [],
  hasKeys: false,
  crossSigningResets: 0,
  devices: new Map(),
})
