import { type ClientRow, findClient } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'
import type { Params } from '../http/params.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { isUnsafeTarget } from '../policy/client-registration.ts'

/** The parameters of OpenID Connect RP-Initiated Logout section 2 that we act on. */
export const LOGOUT_PARAMETERS = [
  'id_token_hint',
  'client_id',
  'post_logout_redirect_uri',
  'state',
  'ui_locales',
]

/** Characters of `state` that are given back. */
const STATE_LIMIT = 4096

/** What a client asks for when it sends a person to sign out. */
export interface LogoutRequest {
  /** Who asks, by its hint or by its `client_id`; nobody when they contradict each other or do not hold. */
  client: ClientRow | undefined
  /** The `sid` of a hint that we signed for this client. */
  sid: string | undefined
  /** Where the person goes afterwards, `state` included: an address that the client registered. */
  target: string | undefined
  /** An address was asked for, and nobody is sent there. */
  refused: boolean
  /** What a form must carry to ask for the same once more. */
  carried: [name: string, value: string][]
}

/**
 * Reads a logout request (OpenID Connect RP-Initiated Logout sections 2 and 4). What does not hold is not used for
 * anything, and it is no error: whoever comes here wants to be signed out, and can be.
 */
export async function readLogoutRequest(
  deps: Pick<Deps, 'sql' | 'clock' | 'urls' | 'keys'>,
  params: Params,
): Promise<LogoutRequest> {
  const { id_token_hint: hint, client_id: claimed, post_logout_redirect_uri: uri, state } = params
  const hinted = hint === undefined ? undefined : await readHint(deps, hint)
  // Section 2: a hint that does not hold, or was made for another client than the one that is named.
  const contradicts =
    hint !== undefined && (!hinted || (claimed !== undefined && claimed.toUpperCase() !== hinted.audience))
  const id = contradicts ? undefined : uuidFromUlid(hinted?.audience ?? claimed ?? '')
  const [client] = id === undefined ? [] : await findClient(deps.sql, id)
  const target =
    client && uri !== undefined && mayReturn(client, uri) && (state?.length ?? 0) <= STATE_LIMIT
      ? withState(uri, state)
      : undefined
  return {
    client,
    sid: client && hinted?.sid,
    target,
    refused: uri !== undefined && target === undefined,
    carried: LOGOUT_PARAMETERS.flatMap((name): [string, string][] => {
      const value = params[name]
      return value === undefined ? [] : [[name, value]]
    }),
  }
}

/** An ID token of ours, of whatever age (section 4). Other tokens that we sign have a `typ`, or no `sid`. */
async function readHint(
  deps: Pick<Deps, 'clock' | 'urls' | 'keys'>,
  hint: string,
): Promise<{ audience: string; sid: string | undefined } | undefined> {
  const claims = await deps.keys.verify(hint, {
    issuer: deps.urls.issuer,
    typ: null,
    evenExpired: true,
    now: deps.clock.now(),
  })
  if (typeof claims?.aud !== 'string' || claims.exp === undefined) return undefined
  return { audience: claims.aud, sid: typeof claims.sid === 'string' ? claims.sid : undefined }
}

/** Section 3: exactly as registered, character by character. */
const mayReturn = (client: ClientRow, uri: string): boolean =>
  client.metadata.post_logout_redirect_uris?.includes(uri) === true && !isUnsafeTarget(uri)

/** Existing parameters keep their spelling: appending to searchParams would rewrite them. */
function withState(uri: string, state: string | undefined): string {
  const url = new URL(uri)
  if (state !== undefined)
    url.search = `${url.search}${url.search === '' ? '?' : '&'}${new URLSearchParams({ state })}`
  return url.href
}
