import type { Fetch } from '../../src/matrix/homeserver/homeserver.ts'

/** A user as the fake keeps it. */
export interface FakeUser {
  displayName?: string
  avatarUrl?: string
  emails: string[]
  locked: boolean
  suspended: boolean
  deactivated: boolean
  erased: boolean
  /** How often a cross-signing reset was allowed. */
  crossSigningResets: number
  /** Device id to its name. */
  devices: Map<string, string | undefined>
}

/** One call that reached the fake, in order. `parameters` are the query's or the body's. */
export interface FakeCall {
  name: string
  parameters: Record<string, unknown>
  status: number
}

/** The state and the switches of the fake; a test reads and sets them freely. */
export interface FakeHomeserver {
  serverName: string
  secret: string
  /** For `matrix.endpoint`; the fake answers at any host, as it has no socket. */
  endpoint: string
  fetch: Fetch
  users: Map<string, FakeUser>
  /** Localparts that an application service owns: M_EXCLUSIVE. */
  exclusive: Set<string>
  calls: FakeCall[]
  /** Every call fails as if nothing listened. */
  down: boolean
  /** No call is answered until its signal gives it up. */
  slow: boolean
  /** Every call answers 200 with a page of HTML. */
  nonsense: boolean
  /** The next call of this endpoint (`'upsert_device'`) answers 500; the one after works. */
  failOnce(name: string): void
  /** The ids of a user's devices, sorted; empty for a user that is not there. */
  devicesOf(localpart: string): string[]
  /** The calls of one endpoint. */
  callsOf(name: string): FakeCall[]
}

type Reply = { status: number; body: Record<string, unknown> | undefined }
type Handler = (fake: FakeHomeserver, parameters: Record<string, unknown>) => Reply

/**
 * Synapse's side of the `/_synapse/mas` API in memory (reference 10.1), as a `fetch` without a socket. Statuses and
 * error codes were compared with Synapse 1.163.
 */
export function createFakeHomeserver(options: { serverName?: string; secret?: string } = {}): FakeHomeserver {
  const failing = new Set<string>()
  const fake: FakeHomeserver = {
    serverName: options.serverName ?? 'example.test',
    secret: options.secret ?? 'shared-secret',
    endpoint: 'http://homeserver.test/',
    fetch: async (input, init) => {
      const request = new Request(input, init)
      if (fake.down) throw new TypeError('fake homeserver: connection refused')
      if (fake.slow) await givenUp(request.signal)
      if (fake.nonsense) return new Response('<!doctype html><title>Welcome</title>', { status: 200 })
      return respond(fake, failing, request)
    },
    users: new Map(),
    exclusive: new Set(),
    calls: [],
    down: false,
    slow: false,
    nonsense: false,
    failOnce: (name) => void failing.add(name),
    devicesOf: (localpart) => [...(fake.users.get(localpart)?.devices.keys() ?? [])].sort(),
    callsOf: (name) => fake.calls.filter((call) => call.name === name),
  }
  return fake
}

const givenUp = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason))
  })

async function respond(fake: FakeHomeserver, failing: Set<string>, request: Request): Promise<Response> {
  const url = new URL(request.url)
  const name = /\/_synapse\/mas\/([a-z_]+)$/.exec(url.pathname)?.[1] ?? ''
  const handler = HANDLERS[`${request.method} ${name}`]
  const parameters = request.method === 'GET' ? Object.fromEntries(url.searchParams) : await readBody(request)
  const token = /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '')?.[1]

  let reply: Reply
  if (!handler) reply = problem(404, 'M_UNRECOGNIZED', 'Unrecognized request')
  else if (token === undefined) reply = problem(401, 'M_MISSING_TOKEN', 'Missing access token')
  else if (token !== fake.secret) reply = problem(403, 'M_UNKNOWN', 'Only for the authentication service')
  else if (failing.delete(name)) reply = problem(500, 'M_UNKNOWN', 'Internal server error')
  else if (!parameters) reply = problem(400, 'M_NOT_JSON', 'Content not JSON.')
  else reply = handler(fake, parameters)

  fake.calls.push({ name, parameters: parameters ?? {}, status: reply.status })
  if (reply.body === undefined) return new Response(null, { status: reply.status })
  return Response.json(reply.body, { status: reply.status })
}

async function readBody(request: Request): Promise<Record<string, unknown> | undefined> {
  try {
    const value: unknown = await request.json()
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

const problem = (status: number, errcode: string, error: string): Reply => ({
  status,
  body: { errcode, error },
})
const ok: Reply = { status: 200, body: {} }
const badTypes = problem(400, 'M_INVALID_PARAM', 'a member has the wrong type')

/** `action` on an existing user, or 404. */
const onUser =
  (action: (user: FakeUser, parameters: Record<string, unknown>, fake: FakeHomeserver) => Reply): Handler =>
  (fake, parameters) => {
    if (typeof parameters.localpart !== 'string') return badTypes
    const user = fake.users.get(parameters.localpart)
    return user ? action(user, parameters, fake) : problem(404, 'M_NOT_FOUND', 'User not found')
  }

/** `action` on an existing user and a given device id. */
const onDevice = (
  action: (user: FakeUser, deviceId: string, parameters: Record<string, unknown>) => Reply,
): Handler =>
  onUser((user, parameters) =>
    typeof parameters.device_id === 'string' ? action(user, parameters.device_id, parameters) : badTypes,
  )

const isName = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === 'string'

const HANDLERS: Record<string, Handler> = {
  'GET query_user': onUser((user, { localpart }, fake) => ({
    status: 200,
    body: {
      user_id: `@${localpart}:${fake.serverName}`,
      display_name: user.displayName ?? null,
      avatar_url: user.avatarUrl ?? null,
      is_suspended: user.suspended,
      is_deactivated: user.deactivated,
    },
  })),

  'GET is_localpart_available': (fake, { localpart }) => {
    if (typeof localpart !== 'string') return problem(400, 'M_UNKNOWN', 'Missing localpart')
    if (!/^[a-z0-9._=/+-]+$/.test(localpart) || localpart.startsWith('_') || /^\d+$/.test(localpart)) {
      return problem(400, 'M_INVALID_USERNAME', 'User ID has characters that are not allowed')
    }
    if (fake.users.has(localpart)) return problem(400, 'M_USER_IN_USE', 'User ID already taken.')
    if (fake.exclusive.has(localpart)) {
      return problem(400, 'M_EXCLUSIVE', 'This user ID is reserved by an application service.')
    }
    return ok
  },

  'POST provision_user': provisionUser,

  'POST upsert_device': onDevice((user, deviceId, { display_name: name }) => {
    if (!isName(name)) return badTypes
    const known = user.devices.has(deviceId)
    user.devices.set(deviceId, name ?? user.devices.get(deviceId))
    return { status: known ? 200 : 201, body: {} }
  }),

  'POST update_device_display_name': onDevice((user, deviceId, { display_name: name }) => {
    if (typeof name !== 'string') return badTypes
    if (!user.devices.has(deviceId)) return problem(404, 'M_NOT_FOUND', 'No such device')
    user.devices.set(deviceId, name)
    return ok
  }),

  'POST delete_device': onDevice((user, deviceId) => {
    user.devices.delete(deviceId)
    return { status: 204, body: undefined }
  }),

  'POST sync_devices': onUser((user, { devices }) => {
    if (!Array.isArray(devices) || !devices.every((id) => typeof id === 'string')) return badTypes
    user.devices = new Map(devices.map((id) => [id, user.devices.get(id)]))
    return ok
  }),

  'POST delete_user': onUser((user, { erase }) => {
    if (typeof erase !== 'boolean') return badTypes
    user.deactivated = true
    user.erased = erase
    user.devices.clear()
    user.emails = []
    if (!erase) return ok
    delete user.displayName
    delete user.avatarUrl
    return ok
  }),

  'POST reactivate_user': onUser((user) => {
    user.deactivated = false
    user.erased = false
    return ok
  }),

  'POST set_displayname': onUser((user, { displayname }) => {
    if (typeof displayname !== 'string') return badTypes
    user.displayName = displayname
    return ok
  }),

  'POST unset_displayname': onUser((user) => {
    delete user.displayName
    return ok
  }),

  'POST allow_cross_signing_reset': onUser((user) => {
    user.crossSigningResets += 1
    return ok
  }),
}

function provisionUser(fake: FakeHomeserver, parameters: Record<string, unknown>): Reply {
  const {
    localpart,
    set_displayname: displayName,
    set_avatar_url: avatarUrl,
    set_emails: emails,
  } = parameters
  if (typeof localpart !== 'string' || !isName(displayName) || !isName(avatarUrl)) return badTypes
  if (emails !== undefined && !(Array.isArray(emails) && emails.every((one) => typeof one === 'string'))) {
    return badTypes
  }
  for (const member of ['displayname', 'avatar_url', 'emails']) {
    if (parameters[`unset_${member}`] === true && parameters[`set_${member}`] !== undefined) return badTypes
  }

  const known = fake.users.get(localpart)
  const user: FakeUser = known ?? {
    displayName: localpart,
    emails: [],
    locked: false,
    suspended: false,
    deactivated: false,
    erased: false,
    crossSigningResets: 0,
    devices: new Map(),
  }
  fake.users.set(localpart, user)
  if (displayName !== undefined) user.displayName = displayName
  else if (parameters.unset_displayname === true) delete user.displayName
  if (avatarUrl !== undefined) user.avatarUrl = avatarUrl
  else if (parameters.unset_avatar_url === true) delete user.avatarUrl
  if (emails !== undefined) user.emails = [...emails]
  else if (parameters.unset_emails === true) user.emails = []
  if (typeof parameters.locked === 'boolean') user.locked = parameters.locked
  return { status: known ? 200 : 201, body: {} }
}
