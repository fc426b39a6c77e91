import type { ClientRow } from '../../../sql/clients.ts'
import {
  claimDeviceCode,
  type DeviceCodeRow,
  findDeviceCodeState,
  findDeviceGrantByCode,
  pollDeviceGrant,
  releaseDeviceCode,
  spendDeviceCode,
} from '../../../sql/device-grants.ts'
import { OAuthError } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { sha256 } from '../../lib/digest.ts'
import { hasDefaultAcr } from '../acr.ts'
import { DEVICE_CODE_GRANT, deviceGrantEnabled } from '../device.ts'
import type { TokenResponse } from '../token-response.ts'
import { type ClaimQueries, type ExchangeNeeds, exchange } from './exchange.ts'

const DEVICE_CODES: ClaimQueries = {
  claim: claimDeviceCode,
  findState: findDeviceCodeState,
  release: releaseDeviceCode,
  spend: spendDeviceCode,
}

/**
 * The device code grant (RFC 8628 section 3.4): a device asks again and again whether its person has answered. The
 * statuses are those of MAS, which differ from the RFC's 400 (reference section 4.5, edge 22).
 *
 * @throws OAuthError unsupported_grant_type, unauthorized_client, invalid_grant, expired_token, access_denied,
 *   authorization_pending, slow_down; Unavailable when the homeserver is down
 */
export async function exchangeDeviceCode(
  deps: ExchangeNeeds,
  client: ClientRow,
  form: { device_code: string },
  jkt: string | undefined,
  requester: Requester,
): Promise<TokenResponse> {
  if (!deviceGrantEnabled(deps.config)) throw new OAuthError('unsupported_grant_type')
  if (!client.grant_types.includes(DEVICE_CODE_GRANT)) throw new OAuthError('unauthorized_client')
  const grant = await findGrant(deps, client, form.device_code)
  if (grant.rejected_at) throw new OAuthError('access_denied', { cause: 'the person said no' })
  if (!grant.fulfilled_at) throw await pending(deps, grant)
  return exchange(deps, client, { ...approved(client, grant), jkt }, DEVICE_CODES, requester)
}

/** The request of a device code, if it is this client's, and neither over nor spent. */
async function findGrant(deps: ExchangeNeeds, client: ClientRow, deviceCode: string): Promise<DeviceCodeRow> {
  const invalid = (cause: string) => new OAuthError('invalid_grant', { cause })
  if (!/^[0-9A-Za-z]{32}$/.test(deviceCode)) throw invalid('malformed device code')
  const [grant] = await findDeviceGrantByCode(deps.sql, sha256(deviceCode))
  if (!grant) throw invalid('unknown device code')
  if (grant.client_id !== client.id) throw invalid('device code of another client')
  if (grant.expires_at <= deps.clock.now()) throw new OAuthError('expired_token')
  if (grant.exchanged_at) throw invalid('the device code was used')
  return grant
}

/**
 * Nobody has answered yet. Only these polls are slowed down: one that comes too early and finds an answer is told, since
 * nothing is gained by having it come back.
 */
async function pending(deps: ExchangeNeeds, grant: DeviceCodeRow): Promise<OAuthError> {
  const [poll] = await pollDeviceGrant(deps.sql, grant.id, deps.clock.now())
  return new OAuthError(poll?.slow ? 'slow_down' : 'authorization_pending')
}

/** What was approved, if the person and the browser that did so are still in order (reference edge 21). */
function approved(client: ClientRow, grant: DeviceCodeRow) {
  if (grant.locked_at || grant.deactivated_at)
    throw new OAuthError('access_denied', { cause: 'the account is locked or deactivated' })
  const { user_id: userId, username, browser_session_id: browserSessionId } = grant
  const authTime = grant.session_authenticated_at
  if (!userId || !username || !browserSessionId || !authTime || grant.session_finished_at)
    throw new OAuthError('invalid_grant', { cause: 'the browser session that approved has ended' })
  return {
    id: grant.id,
    userId,
    username,
    browserSessionId,
    scope: grant.scope,
    locale: grant.locale,
    previousSessionId: grant.oauth_session_id,
    authTime,
    method: grant.session_authentication_method,
    nonce: null,
    code: undefined,
    acrRequested: hasDefaultAcr(client),
    withRefreshToken: client.grant_types.includes('refresh_token'),
  }
}
