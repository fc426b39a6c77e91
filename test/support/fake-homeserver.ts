import type { Fetch } from '../../src/matrix/homeserver/homeserver.ts'
import { findAdminHandler } from './fake-admin-api.ts'
import { type FakePicture, respondMedia } from './fake-media.ts'
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
  /** Pictures by their `mxc:` address. */
  media: Map<string, FakePicture>
  /** Asks Latchkey whose an access token with the API scope is; undefined when it is not good. */
  introspect?: (token: string) => Promise<string | undefined>
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
  /** The addresses, sorted, and the lock of a user. */
  accountOf(localpart: string): { emails: string[]; locked: boolean }
  /** The calls of one endpoint. */
  callsOf(name: string): FakeCall[]
}

/**
 * Synapse's side of the `/_synapse/mas` API in memory (reference 10.1), and of the admin API that was before it, as a
 * `fetch` without a socket. The contract suite holds it to Synapse's statuses and error codes.
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
      return (await respondMedia(fake, request)) ?? respond(fake, failing, request)
    },
    users: new Map(),
    exclusive: new Set(),
    calls: [],
    media: new Map(),
    down: false,
    slow: false,
    nonsense: false,
    failOnce: (name) => void failing.add(name),
    devicesOf: (localpart) => [...(fake.users.get(localpart)?.devices.keys() ?? [])].sort(),
    accountOf: (localpart) => {
      const { emails = [], locked = false } = fake.users.get(localpart) ?? {}
      return { emails: emails.toSorted(), locked }
    },
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
  const found = findHandler(fake, request.method, url.pathname)
  const { name, handler } = found
  const body = await readBody(request)
  const parameters = body && { ...Object.fromEntries(url.searchParams), ...body, ...found.parameters }
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

/** Which endpoint a path is, and the parameters in the path. */
function findHandler(fake: FakeHomeserver, method: string, path: string) {
  const name = /\/_synapse\/mas\/([a-z_]+)$/.exec(path)?.[1]
  if (name !== undefined) return { name, handler: HANDLERS[`${method} ${name}`], parameters: {} }
  return findAdminHandler(fake.serverName, method, path)
}

async function readBody(request: Request): Promise<Record<string, unknown> | undefined> {
  if (request.body === null) return {}
  try {
    const value: unknown = await request.json()
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

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

  'GET is_localpart_available': (fake, { localpart }) =>
    typeof localpart === 'string'
      ? (refusalOf(fake, localpart) ?? ok)
      : problem(400, 'M_UNKNOWN', 'Missing localpart'),

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
    const kept = user.dehydrated === undefined ? devices : [...devices, user.dehydrated]
    user.devices = new Map(kept.map((id) => [id, user.devices.get(id)]))
    return ok
  }),

  'POST delete_user': onUser(deactivate),

  'POST reactivate_user': onUser(reactivate),

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
  const user = known ?? newUser(localpart)
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
