import type { BrowserSessionRow } from '../../../sql/browser-sessions.ts'
import type { ClientRow } from '../../../sql/clients.ts'
import { findUser, findUserByEmail, type UserRow } from '../../../sql/users.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { fold } from '../../lib/fold.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import type { CheckedRequest } from './rules.ts'

/**
 * Who must answer a request: the subject of `id_token_hint`, or of the `sub` in `claims`. Undefined: whoever signs in.
 *
 * @throws OAuthError invalid_request for a hint that is not ours; login_required for somebody who is not here
 */
export async function expectedPerson(
  deps: Pick<Deps, 'sql' | 'urls' | 'clock' | 'keys'>,
  client: ClientRow,
  { params, claims }: CheckedRequest,
): Promise<UserRow | undefined> {
  const hinted =
    params.id_token_hint === undefined ? undefined : await subjectOfHint(deps, client, params.id_token_hint)
  if (hinted !== undefined && claims.userId !== undefined && hinted !== claims.userId)
    throw new OAuthError('invalid_request', {
      description: 'id_token_hint and claims ask for two different people.',
    })
  const id = hinted ?? claims.userId
  if (id === undefined) return undefined
  const [user] = await findUser(deps.sql, id)
  if (!user || user.deactivated_at)
    throw new OAuthError('login_required', {
      description: 'The person that was asked for has no account here.',
    })
  return user
}

/** OpenID Connect Core section 3.1.2.1: an ID token of ours for this client, of whatever age. */
async function subjectOfHint(
  deps: Pick<Deps, 'urls' | 'clock' | 'keys'>,
  client: ClientRow,
  hint: string,
): Promise<string> {
  const claims = await deps.keys.verify(hint, {
    issuer: deps.urls.issuer,
    audience: ulidFromUuid(client.id),
    typ: null,
    evenExpired: true,
    now: deps.clock.now(),
  })
  const subject = typeof claims?.exp === 'number' ? uuidFromUlid(claims.sub ?? '') : undefined
  if (subject === undefined)
    throw new OAuthError('invalid_request', {
      description: 'id_token_hint is not an ID token of this client.',
    })
  return subject
}

/**
 * What `login_hint` puts into the sign-in field (reference section 3.5): the name in `mxid:@name:server` of this server, or
 * an address where those sign in; '' for everything else.
 */
export function hintedName(deps: Pick<Deps, 'config'>, hint: string | null | undefined): string {
  const server = deps.config.matrix.homeserver
  if (hint?.startsWith('mxid:')) {
    const mxid = hint.slice(5).trim()
    const localpart = localpartOf(mxid, server)
    return localpart === mxid ? '' : localpart
  }
  return deps.config.account.login_with_email_allowed && /^[^\s@]+@[^\s@]+$/.test(hint ?? '')
    ? (hint ?? '')
    : ''
}

/**
 * Whether `login_hint` names somebody else than who is signed in: then nothing is answered in silence. An address that
 * nobody has is somebody else's too, or a client of one's own would tell which addresses have an account.
 */
export async function hintsAtAnother(
  deps: Pick<Deps, 'config' | 'sql'>,
  hint: string | null | undefined,
  session: BrowserSessionRow,
): Promise<boolean> {
  const name = hintedName(deps, hint)
  if (name === '') return false
  if (!name.includes('@')) return fold(name) !== fold(session.username)
  const [user] = await findUserByEmail(deps.sql, fold(name))
  return user?.id !== session.user_id
}
