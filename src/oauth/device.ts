import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { ClientRow } from '../../sql/clients.ts'
import { insertDeviceGrant } from '../../sql/device-grants.ts'
import type { Config } from '../config/schema.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { checkParams, readForm } from '../http/params.ts'
import { json } from '../http/reply.ts'
import { type Requester, requesterOf } from '../http/requester.ts'
import type { Route } from '../http/route.ts'
import { limitSubject, take } from '../identity/limits.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { randomString } from '../lib/random.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import { authenticateClient } from './client-auth.ts'
import { askedScope } from './registered-scope.ts'
import { formatUserCode, newUserCode, userCodeHash } from './user-code.ts'

/** RFC 8628 section 3.4. */
export const DEVICE_CODE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** Whether devices may sign in with a code here. */
export const deviceGrantEnabled = (config: Pick<Config, 'oauth'>): boolean =>
  config.oauth.device_code_grant_enabled

/** Seconds that a person has from the code on the device to the answer (reference section 8). */
const LIFETIME = 1200
/** Seconds between two polls, until `slow_down`. */
const INTERVAL = 5
/** Requests of one address. Every pending one is one more code that a guess may hit. */
export const DEVICE_REQUEST_LIMIT = { burst: 300, per_second: 300 / 3600 }
/** Codes that are drawn before giving up. Two at once being taken already is a fault, not bad luck. */
const DRAWS = 5

const DeviceRequest = TypeCompiler.Compile(Type.Object({ scope: Type.Optional(Type.String()) }))

/** POST /oauth2/device (RFC 8628 section 3.1, reference section 8). */
export async function requestDeviceCode(deps: Deps, request: Request): Promise<Response> {
  if (!deviceGrantEnabled(deps.config))
    throw new OAuthError('invalid_request', { description: 'Sign-in with a device code is switched off.' })
  const form = await readForm(request)
  const requester = requesterOf(deps, request)
  const client = await authenticateClient(deps, request, form)
  if (!client.grant_types.includes(DEVICE_CODE_GRANT)) throw new OAuthError('unauthorized_client')
  const scope = askedScope(client, checkParams(DeviceRequest, form).scope)
  await take(deps, 'device-request.ip', limitSubject(requester.ip), DEVICE_REQUEST_LIMIT)
  const { deviceCode, userCode } = await store(deps, client, scope, requester)
  const link = deps.urls.absolute('/link')
  return json({
    device_code: deviceCode,
    user_code: userCode,
    verification_uri: link,
    ...(deps.config.oauth.device_code_user_code_auto_fill_enabled && {
      verification_uri_complete: `${link}?${new URLSearchParams({ code: userCode })}`,
    }),
    expires_in: LIFETIME,
    interval: INTERVAL,
  })
}

/** Stores a request under two fresh codes. */
async function store(
  deps: Pick<Deps, 'sql' | 'clock' | 'random' | 'secrets' | 'log'>,
  client: ClientRow,
  scope: string[],
  requester: Requester,
): Promise<{ deviceCode: string; userCode: string }> {
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const deviceCode = randomString(deps.random, 32)
  for (let draw = 0; draw < DRAWS; draw++) {
    const userCode = newUserCode(deps.random)
    const [stored] = await insertDeviceGrant(deps.sql, {
      id,
      clientId: client.id,
      scope,
      deviceCodeHash: sha256(deviceCode),
      userCodeHash: userCodeHash(deps.secrets, userCode),
      sealedUserCode: await deps.secrets.seal(userCode, userCodeContext(id)),
      intervalSeconds: INTERVAL,
      ip: requester.ip ?? null,
      userAgent: requester.userAgent ?? null,
      now,
      expiresAt: addSeconds(now, LIFETIME),
    })
    if (!stored) continue
    deps.log.info('device.requested', { grant_id: id, client_id: ulidFromUuid(client.id), ip: requester.ip })
    return { deviceCode, userCode: formatUserCode(userCode) }
  }
  throw new OAuthError('server_error', { cause: 'every user code that was drawn is in use' })
}

/** What the user code of a request is sealed for. */
export const userCodeContext = (grantId: string): string => `device_user_code:${grantId}`

export const deviceAuthorizationRoutes = (deps: Deps): Route[] => [
  {
    method: 'POST',
    path: '/oauth2/device',
    cors: apiCors,
    handle: (request) => requestDeviceCode(deps, request),
  },
]
