import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { findActiveDevice } from '../../../sql/sessions.ts'
import type { Deps } from '../../deps.ts'
import { apiCors } from '../../http/cors.ts'
import { MatrixError } from '../../http/errors.ts'
import { json } from '../../http/reply.ts'
import { type Requester, requesterOf } from '../../http/requester.ts'
import type { Route } from '../../http/route.ts'
import { type DirectoryRefusal, refusalMessage } from '../../identity/directory.ts'
import { checkPassword, isProof } from '../../identity/sign-in.ts'
import type { LegacyLogin } from '../../policy/legacy-login.ts'
import { chooseLanguage } from '../../render/translate.ts'
import { readBody } from './body.ts'
import { awaitsApproval, userLocked } from './errors.ts'
import { identifierOf } from './identifier.ts'
import { findLoginToken } from './login-token.ts'
import { identityProviders } from './providers.ts'
import { beginCompatSession, type LoginResponse } from './session.ts'

const text = Type.Optional(Type.String())

const LoginBody = Type.Object({
  type: Type.String(),
  identifier: Type.Optional(Type.Object({ type: Type.String(), user: text, medium: text, address: text })),
  // As clients sent it before there were identifiers.
  user: text,
  medium: text,
  address: text,
  password: text,
  token: text,
  device_id: text,
  initial_device_display_name: text,
  refresh_token: Type.Optional(Type.Boolean()),
})
type LoginBody = Static<typeof LoginBody>
const LoginRequest = TypeCompiler.Compile(LoginBody)

/** Characters of a device id and of its name that Synapse takes. */
const LONGEST_DEVICE_ID = 255
const LONGEST_DEVICE_NAME = 100

/** GET /_matrix/client/{version}/login: how one can sign in (reference 9.1). */
function showFlows(deps: Pick<Deps, 'config'>): Response {
  const providers = identityProviders(deps.config)
  const sso = {
    type: 'm.login.sso',
    // Both spellings of the same: a client that knows OAuth should use that (MSC3824).
    oauth_aware_preferred: true,
    'org.matrix.msc3824.delegated_oidc_compatibility': true,
    ...(providers.length > 0 && { identity_providers: providers }),
  }
  const flows = [sso, { type: 'm.login.token' }]
  return json({ flows: deps.config.passwords.enabled ? [{ type: 'm.login.password' }, ...flows] : flows })
}

/** POST /_matrix/client/{version}/login (reference 9.2, with its edges 36 and 45 mended). */
async function login(deps: Deps, request: Request): Promise<Response> {
  const body = await readBody(request, LoginRequest)
  const type = TYPES.includes(body.type) ? body.type : 'unsupported'
  try {
    const response = await loginOf(deps, body, requesterOf(deps, request))
    deps.metrics.legacyLogins.add(type, 'success')
    return json(response)
  } catch (error) {
    deps.metrics.legacyLogins.add(type, error instanceof MatrixError ? 'failure' : 'error')
    throw error
  }
}

/** Types that have a figure of their own: a client can send any text. */
const TYPES = ['m.login.password', 'm.login.token', 'm.login.application_service']

function loginOf(deps: Deps, body: LoginBody, requester: Requester): Promise<LoginResponse> {
  if (body.type === 'm.login.password' && deps.config.passwords.enabled)
    return loginWithPassword(deps, body, requester)
  if (body.type === 'm.login.token') return loginWithToken(deps, body, requester)
  if (body.type === 'm.login.application_service')
    throw new MatrixError(
      'M_APPSERVICE_LOGIN_UNSUPPORTED',
      400,
      'Application services cannot log in here; they use their own token and MSC4190.',
    )
  throw new MatrixError('M_UNKNOWN', 400, 'Invalid login type')
}

async function loginWithPassword(deps: Deps, body: LoginBody, requester: Requester): Promise<LoginResponse> {
  const username = identifierOf(deps.config, body)
  if (body.password === undefined)
    throw new MatrixError('M_BAD_JSON', 400, 'The member password is missing or not valid.')
  const device = deviceOf(body)
  const found = await checkPassword(deps, { username, password: body.password }, requester)
  if (found.result === 'locked') throw userLocked()
  if (found.result === 'waiting') throw awaitsApproval()
  if (found.result === 'refused') throw refused(deps, found.reason, requester)
  if (found.result !== 'ok') throw wrongPassword()
  const need = await assertAllowed(deps, found.user, { type: 'm.login.password' }, device.deviceId, requester)
  const withRefreshToken = body.refresh_token === true
  const login = { user: found.user, ...device, browserSessionId: null, withRefreshToken, requester, need }
  return beginCompatSession(deps, {
    ...login,
    async check(tx) {
      if (!(await isProof(tx, found.user.id, found.proof))) throw wrongPassword()
    },
  })
}

/** The directory knows the password, and somebody has to hear why they are not let in all the same. */
function refused(deps: Deps, reason: DirectoryRefusal, { acceptLanguage }: Requester): MatrixError {
  const lang = chooseLanguage(acceptLanguage ?? null, deps.translate.languages)
  return new MatrixError('M_FORBIDDEN', 403, refusalMessage(deps, reason, lang) ?? REFUSALS[reason])
}

const REFUSALS: Readonly<Record<DirectoryRefusal, string>> = {
  no_account: 'The password is right, but no account could be made here. Ask the people who run this server.',
  turned_away: 'The rules of this server do not allow this.',
  not_allowed: 'The directory does not let this account in.',
  password_expired: 'The password has expired. Change it in the directory of your organisation first.',
}

const wrongPassword = (): MatrixError => new MatrixError('M_FORBIDDEN', 403, 'Invalid username/password')

/** The token that the person took along from our page (`sign-in/compat-sso.ts`): good once, for half a minute. */
async function loginWithToken(deps: Deps, body: LoginBody, requester: Requester): Promise<LoginResponse> {
  if (body.token === undefined)
    throw new MatrixError('M_BAD_JSON', 400, 'The member token is missing or not valid.')
  const device = deviceOf(body)
  const { user, browserSessionId, spendable } = await findLoginToken(deps, body.token, requester)
  const need = await assertAllowed(deps, user, { type: 'm.login.token' }, device.deviceId, requester)
  const withRefreshToken = body.refresh_token === true
  const login = { user, ...device, browserSessionId, withRefreshToken, requester, need }
  return beginCompatSession(deps, login, spendable)
}

/**
 * Asks the operator's policy; gives how many sessions must end for this one. Where the operator lets older sessions make
 * room, too many of them are no reason to refuse.
 *
 * @throws MatrixError M_FORBIDDEN when it says no
 */
async function assertAllowed(
  deps: Pick<Deps, 'config' | 'sql' | 'policy' | 'log'>,
  user: { id: string; username: string; is_admin: boolean },
  login: LegacyLogin,
  deviceId: string | undefined,
  requester: Requester,
): Promise<number> {
  const [replaced] = deviceId === undefined ? [] : await findActiveDevice(deps.sql, user.id, deviceId)
  const asked = { user: { ...user, user_id: user.id }, login, sessionReplaced: replaced !== undefined }
  const violations = await deps.policy.legacyLogin(asked, requester)
  if (violations.length === 0) return 0
  const evicts = deps.config.experimental.session_limit?.dangerous_hard_limit_eviction ?? false
  if (evicts && violations.every(({ code }) => code === 'too-many-sessions'))
    return Math.max(...violations.map(({ need_to_remove: need }) => need ?? 1))
  deps.log.warn('policy.denied', { user_id: user.id, violations })
  const reasons = violations.map(({ msg }) => msg).join(' ')
  throw new MatrixError('M_FORBIDDEN', 403, `The login was refused: ${reasons}`)
}

/**
 * The device that a client names. An id may have any form that the homeserver takes (edge 49), an empty one is none; a
 * name that is too long is cut, since clients build it from what they run on.
 */
function deviceOf(body: LoginBody): { deviceId: string | undefined; deviceName: string | undefined } {
  const { device_id: deviceId = '', initial_device_display_name: name = '' } = body
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused.
  if ([...deviceId].length > LONGEST_DEVICE_ID || /[\x00-\x1f\x7f\ufffd]/.test(deviceId))
    throw new MatrixError('M_INVALID_PARAM', 400, 'The device_id is not valid.')
  return {
    deviceId: deviceId === '' ? undefined : deviceId,
    deviceName: [...name.trim()].slice(0, LONGEST_DEVICE_NAME).join('') || undefined,
  }
}

export const compatLoginRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/_matrix/client/{version}/login',
    cors: apiCors,
    handle: () => showFlows(deps),
  },
  {
    method: 'POST',
    path: '/_matrix/client/{version}/login',
    cors: apiCors,
    handle: (request) => login(deps, request),
  },
]
