import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { findActiveRefreshToken } from '../../sql/tokens.ts'
import { findUser } from '../../sql/users.ts'
import { readInternalToken } from '../crypto/internal-token.ts'
import { parseToken, type TokenForm, tokenDigest } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { checkParams, type Params, readForm } from '../http/params.ts'
import { json } from '../http/reply.ts'
import { requesterOf } from '../http/requester.ts'
import type { Route } from '../http/route.ts'
import { limitSubject, take } from '../identity/limits.ts'
import { noteWho } from '../lib/current-request.ts'
import { equalSecrets } from '../lib/digest.ts'
import { API_SCOPE, legacyScope, normaliseScope } from '../lib/scope.ts'
import { timeOfId, ulidFromUuid } from '../lib/ulid.ts'
import { useAccessToken, usePersonalToken } from './access-token.ts'
import { authenticateClient } from './client-auth.ts'
import { keyOfAccessToken } from './dpop.ts'
import { useLegacyToken } from './legacy-token.ts'

const IntrospectionRequest = TypeCompiler.Compile(
  Type.Object({ token: Type.String(), token_type_hint: Type.Optional(Type.String()) }),
)

/**
 * An active answer (RFC 7662 section 2.2, reference 5.3); whole numbers where Synapse insists on them. What is
 * undefined is not in the JSON.
 */
interface ActiveToken {
  active: true
  scope: string
  /** A personal token that a person made has none. */
  client_id: string | undefined
  username: string | undefined
  sub: string | undefined
  token_type: 'access_token' | 'refresh_token'
  exp: number | undefined
  expires_in: number | undefined
  iat: number
  nbf: number
  /** Of OAuth tokens. */
  jti?: string
  /** Of legacy clients, whose device may have an id that is no scope. */
  device_id?: string | undefined
  /** The key that an access token is bound to (RFC 9449 section 6.2). */
  cnf?: { jkt: string } | undefined
}

/** Wrong homeserver secrets of one address. */
const GUESSES = { burst: 20, per_second: 1 / 10 }

const INACTIVE = { active: false } as const

type Needs = Pick<
  Deps,
  | 'config'
  | 'urls'
  | 'sql'
  | 'clock'
  | 'secrets'
  | 'guessers'
  | 'clientKeys'
  | 'activity'
  | 'accessTokens'
  | 'peers'
  | 'trustedProxies'
  | 'log'
  | 'metrics'
>

/**
 * POST /oauth2/introspect: the hot path. For the homeserver it is one statement and no write, but for the first use of
 * a token.
 */
async function introspect(deps: Needs, request: Request): Promise<Response> {
  const params = await readForm(request)
  await authenticateCaller(deps, request, params)
  const { token, token_type_hint } = checkParams(IntrospectionRequest, params)
  const readsDeviceId = request.headers.get('x-mas-supports-device-id') === '1'
  const form = parseToken(token)
  const answer =
    form === undefined ? INACTIVE : await describeToken(deps, token, form, token_type_hint, readsDeviceId)
  deps.metrics.introspections.add(KINDS[form ?? 'none'], answer.active ? 'true' : 'false')
  return json(answer)
}

/**
 * The homeserver by its shared secret, or a client of the configuration by its own: a self-registered client learns
 * nothing about tokens that it comes by (edge 30).
 */
async function authenticateCaller(deps: Needs, request: Request, form: Params): Promise<void> {
  const bearer = /^bearer +(.+)$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  if (bearer !== undefined) {
    if (equalSecrets(bearer, deps.config.matrix.secret)) {
      noteWho('homeserver')
      return
    }
    deps.log.warn('introspection.rejected', { reason: 'wrong homeserver secret' })
    // Wrong ones are limited, the right one never is: behind a proxy that tells no addresses the homeserver would share
    // the limit of whoever guesses, and everybody would be signed out.
    await take(deps, 'homeserver-secret', limitSubject(requesterOf(deps, request).ip), GUESSES)
    throw new OAuthError('access_denied', { status: 401 })
  }
  const client = await authenticateClient(deps, request, form)
  if (client.is_static && client.auth_method !== 'none') return
  throw new OAuthError('access_denied', {
    status: 401,
    cause: 'only clients of the configuration may introspect',
  })
}

/** Forms of tokens as the figures call them, in MAS's words. */
const KINDS: Record<TokenForm | 'none', string> = {
  mat: 'oauth2_access_token',
  mar: 'oauth2_refresh_token',
  mpt: 'personal_access_token',
  mct: 'compat_access_token',
  mcr: 'compat_refresh_token',
  syt: 'compat_access_token',
  syr: 'compat_refresh_token',
  lit: 'access_token',
  macaroon: 'compat_access_token',
  none: 'unknown',
}

/** The forms of refresh tokens; all others are access tokens. */
const REFRESH: readonly TokenForm[] = ['mar', 'mcr', 'syr']

/**
 * What a token stands for; `{active: false}` for every token that is not good, whatever the reason.
 * `readsDeviceId`: the caller takes the device of a legacy client from `device_id`, not from the scope.
 */
async function describeToken(
  deps: Pick<Needs, 'sql' | 'clock' | 'secrets' | 'activity' | 'accessTokens' | 'log'>,
  token: string,
  form: TokenForm,
  hint: string | undefined,
  readsDeviceId: boolean,
): Promise<ActiveToken | typeof INACTIVE> {
  const type = REFRESH.includes(form) ? 'refresh_token' : 'access_token'
  if (hint !== undefined && hint !== type) return INACTIVE
  if (form === 'lit') return describeInternal(deps, token)
  // Those that Synapse issued before its accounts were taken over are tokens of legacy clients too (edge 14).
  if (form !== 'mat' && form !== 'mar' && form !== 'mpt')
    return describeLegacy(deps, token, type, readsDeviceId)
  const now = deps.clock.now()
  const row = await find[form](deps, token, now)
  if (!row) return INACTIVE
  const jkt = form === 'mat' && 'dpop_jkt' in row ? keyOfAccessToken(row) : undefined
  return {
    active: true,
    scope: normaliseScope(row.scope.split(' ')),
    client_id: row.client_id === null ? undefined : ulidFromUuid(row.client_id),
    username: row.username ?? undefined,
    sub: row.user_id === null ? undefined : ulidFromUuid(row.user_id),
    token_type: type,
    ...times(row, now),
    jti: ulidFromUuid(row.id),
    cnf: jkt === undefined ? undefined : { jkt },
  }
}

/** How a good token of each kind is found. */
const find = {
  mat: useAccessToken,
  mpt: usePersonalToken,
  mar: async (deps: Pick<Needs, 'sql'>, token: string) =>
    (await findActiveRefreshToken(deps.sql, tokenDigest(token)))[0],
}

/** Our own token, for as long as the account may do anything: it opens the Matrix API without a device. */
async function describeInternal(
  deps: Pick<Needs, 'sql' | 'clock' | 'secrets'>,
  token: string,
): Promise<ActiveToken | typeof INACTIVE> {
  const now = deps.clock.now()
  const read = readInternalToken(deps.secrets.internal, token, now)
  const [user] = read ? await findUser(deps.sql, read.userId) : []
  if (!read || !user || user.locked_at || user.deactivated_at) return INACTIVE
  const seconds = Math.floor(now.getTime() / 1000)
  return {
    active: true,
    scope: normaliseScope([API_SCOPE]),
    client_id: undefined,
    username: user.username,
    sub: ulidFromUuid(user.id),
    token_type: 'access_token',
    exp: read.expiresAt,
    expires_in: read.expiresAt - seconds,
    iat: seconds,
    nbf: seconds,
  }
}

async function describeLegacy(
  deps: Pick<Needs, 'sql' | 'clock' | 'activity'>,
  token: string,
  type: ActiveToken['token_type'],
  readsDeviceId: boolean,
): Promise<ActiveToken | typeof INACTIVE> {
  const now = deps.clock.now()
  const row = await useLegacyToken(deps, token, type, now)
  const scope =
    row && legacyScope({ deviceId: readsDeviceId ? null : row.device_id, synapseAdmin: row.synapse_admin })
  if (!row || scope === undefined) return INACTIVE
  return {
    active: true,
    scope,
    client_id: 'legacy',
    username: row.username,
    sub: ulidFromUuid(row.user_id),
    token_type: type,
    ...times(row, now),
    device_id: row.device_id ?? undefined,
  }
}

/** When a token was made and when it ends, in whole seconds. */
function times(row: { id: string; expires_at: number | null }, now: Date) {
  const expires = row.expires_at ?? undefined
  const issued = Math.round(timeOfId(row.id).getTime() / 1000)
  return {
    exp: expires === undefined ? undefined : Math.round(expires),
    expires_in: expires === undefined ? undefined : Math.round(expires - now.getTime() / 1000),
    iat: issued,
    nbf: issued,
  }
}

export const introspectionRoutes = (deps: Deps): Route[] => [
  {
    method: 'POST',
    path: '/oauth2/introspect',
    cors: apiCors,
    handle: (request) => introspect(deps, request),
  },
]
