import { createUser } from '../../src/identity/lifecycle.ts'
import { transact } from '../../src/lib/transact.ts'
import type { Harness } from './harness.ts'
import { PASSWORD } from './oauth.ts'

/** What `POST /login` gives a client. */
export interface LegacyTokens {
  user_id: string
  device_id: string
  access_token: string
  refresh_token?: string
  expires_in_ms?: number
}

/** What the Matrix API answered. */
export interface MatrixAnswer {
  status: number
  body: Record<string, unknown>
  headers: Headers
}

/** Makes an account with `PASSWORD`, without the pages on the way to it; gives its id. */
export async function createPerson(harness: Harness, username: string): Promise<string> {
  const { deps } = harness
  const password = await deps.passwords.hash(PASSWORD)
  const created = await transact(deps.sql, (tx) =>
    createUser(deps, tx, { username, displayName: null, password, isAdmin: false }),
  )
  if (!created) throw new Error(`${username} is taken.`)
  return created.id
}

/** Posts JSON to an endpoint of the Matrix API; a string is sent as it is. */
export async function postMatrix(
  harness: Pick<Harness, 'request'>,
  path: string,
  body: unknown = {},
  headers: Record<string, string> = {},
): Promise<MatrixAnswer> {
  const response = await harness.request(`/_matrix/client/v3/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers,
  }
}

/** The body of a login with a password. */
export const passwordLogin = (user: string, extra: object = {}) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password: PASSWORD,
  ...extra,
})

/** Logs in with a password as a legacy client does. */
export async function legacyLogin(harness: Harness, user: string, extra: object = {}): Promise<LegacyTokens> {
  const { status, body } = await postMatrix(harness, 'login', passwordLogin(user, extra))
  if (status !== 200) throw new Error(`login: ${status} ${JSON.stringify(body)}`)
  return body as unknown as LegacyTokens
}

/** Presents a refresh token. */
export const refreshLegacy = (harness: Pick<Harness, 'request'>, token: string): Promise<MatrixAnswer> =>
  postMatrix(harness, 'refresh', { refresh_token: token })

/** Asks as the homeserver does; `deviceHeader: false` as one that reads the device from the scope. */
export async function introspectLegacy(
  harness: Harness,
  token: string,
  { deviceHeader = true, hint = 'access_token' }: { deviceHeader?: boolean; hint?: string } = {},
): Promise<Record<string, unknown>> {
  const response = await harness.form(
    '/oauth2/introspect',
    { token, token_type_hint: hint },
    {
      authorization: `Bearer ${harness.deps.config.matrix.secret}`,
      ...(deviceHeader && { 'x-mas-supports-device-id': '1' }),
    },
  )
  if (response.status !== 200) throw new Error(`introspect: ${response.status}`)
  return (await response.json()) as Record<string, unknown>
}

/** Signs a legacy client out. */
export const logoutLegacy = (
  harness: Pick<Harness, 'request'>,
  token: string,
  path = 'logout',
  body: unknown = {},
): Promise<MatrixAnswer> => postMatrix(harness, path, body, { authorization: `Bearer ${token}` })
