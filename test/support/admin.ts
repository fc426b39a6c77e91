import { findUser } from '../../sql/users.ts'
import { createUser } from '../../src/identity/lifecycle.ts'
import { createPersonalToken } from '../../src/identity/personal-tokens.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import type { Harness } from './harness.ts'

/** What the admin API answered. */
export interface AdminAnswer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: JSON of every shape, which tests look into.
  body: any
}

/** Calls the admin API with a token; paths are below `/api/admin/v1`, unless they begin with `/api/`. */
export type AdminCall = (
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
) => Promise<AdminAnswer>

/** Makes an account. Gives its id as uuid and as ULID. */
export async function makeUser(
  harness: Harness,
  username: string,
  { isAdmin = false } = {},
): Promise<{ uuid: string; id: string }> {
  const { deps } = harness
  const created = await deps.sql.begin((tx) =>
    createUser(deps, tx, { username, displayName: null, password: undefined, isAdmin }),
  )
  if (!created) throw new Error(`There is a ${username} already.`)
  return { uuid: created.id, id: ulidFromUuid(created.id) }
}

/** A personal token that acts as an account. */
export async function personalToken(harness: Harness, userUuid: string, scope: string[]): Promise<string> {
  const { deps } = harness
  const [actor] = await findUser(deps.sql, userUuid)
  if (!actor) throw new Error('There is no such account.')
  const made = await createPersonalToken(deps, {
    actor,
    owner: { userId: userUuid },
    maker: 'admin',
    name: 'script',
    scope,
    expiresIn: undefined,
    requester: { ip: '192.0.2.1', userAgent: 'curl/8' },
  })
  if (made.result !== 'issued') throw new Error(`No token: ${JSON.stringify(made)}`)
  return made.token
}

/** The API as the holder of `token` calls it. */
export const adminCaller =
  (harness: Harness, token: string): AdminCall =>
  async (method, path, body) => {
    const address = path.startsWith('/api/') ? path : `/api/admin/v1${path}`
    const response = await harness.request(address, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? undefined : JSON.parse(text),
    }
  }

/** An admin with a token for everything. */
export async function adminOf(harness: Harness): Promise<{ api: AdminCall; uuid: string; id: string }> {
  const admin = await makeUser(harness, 'admin', { isAdmin: true })
  return { ...admin, api: adminCaller(harness, await personalToken(harness, admin.uuid, ['urn:mas:admin'])) }
}
