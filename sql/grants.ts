import type { AuthenticationMethod } from './browser-sessions.ts'
import type { ClientMetadata } from './clients.ts'
import type { Db } from './connect.ts'

/** An authorization request on its way from `/authorize` to the token endpoint. */
export interface GrantRow {
  id: string
  client_id: string
  browser_hash: Uint8Array
  redirect_uri: string
  response_type: string
  response_mode: string
  scope: string[]
  state: string | null
  nonce: string | null
  code_challenge: string | null
  login_hint: string | null
  locale: string | null
  created_at: Date
  browser_session_id: string | null
  fulfilled_at: Date | null
  cancelled_at: Date | null
  exchanged_at: Date | null
  oauth_session_id: string | null
  /** The values of `prompt` that matter after the first page. */
  prompt: string[]
  authenticated_after: Date | null
  stale_session_id: string | null
  expected_user_id: string | null
  acr_requested: boolean
  /** Nothing but a sign-in of the class that we have is an answer. */
  acr_required: boolean
  /** The key that whoever exchanges the code must prove (RFC 9449 section 10). */
  dpop_jkt: string | null
}

const columns = (
  sql: Db,
) => sql`g.id, g.client_id, g.browser_hash, g.redirect_uri, g.response_type, g.response_mode, g.scope,
  g.state, g.nonce, g.code_challenge, g.login_hint, g.locale, g.created_at, g.browser_session_id, g.fulfilled_at,
  g.cancelled_at, g.exchanged_at, g.oauth_session_id, g.prompt, g.authenticated_after, g.stale_session_id,
  g.expected_user_id, g.acr_requested, g.acr_required, g.dpop_jkt`

/** Stores an authorization request. */
export const insertGrant = (
  sql: Db,
  grant: {
    id: string
    clientId: string
    browserHash: Uint8Array
    redirectUri: string
    responseType: string
    responseMode: string
    scope: string[]
    state: string | null
    nonce: string | null
    codeChallenge: string | null
    loginHint: string | null
    locale: string | null
    rawParameters: Record<string, string>
    prompt: string[]
    authenticatedAfter: Date | null
    staleSessionId: string | null
    expectedUserId: string | null
    acrRequested: boolean
    acrRequired: boolean
    dpopJkt: string | null
    /** Of the pushed request that it is, if it is one. */
    pushedDigest: Uint8Array | null
    now: Date
  },
) => sql`
  insert into latchkey.authorization_grants (id, client_id, browser_hash, redirect_uri, response_type, response_mode, scope, state,
    nonce, code_challenge, login_hint, locale, raw_parameters, prompt, authenticated_after, stale_session_id,
    expected_user_id, acr_requested, acr_required, dpop_jkt, pushed_digest, created_at)
  values (${grant.id}, ${grant.clientId}, ${grant.browserHash}, ${grant.redirectUri}, ${grant.responseType}, ${grant.responseMode},
    ${grant.scope}, ${grant.state}, ${grant.nonce}, ${grant.codeChallenge}, ${grant.loginHint}, ${grant.locale},
    ${sql.json(grant.rawParameters)}, ${grant.prompt}, ${grant.authenticatedAfter}, ${grant.staleSessionId},
    ${grant.expectedUserId}, ${grant.acrRequested}, ${grant.acrRequired}, ${grant.dpopJkt}, ${grant.pushedDigest},
    ${grant.now})`

/** A request with the client that made it. */
export const findGrant = (sql: Db, id: string) => sql<
  (GrantRow & { client_is_static: boolean; client_metadata: ClientMetadata })[]
>`
  select ${columns(sql)}, c.is_static as client_is_static, c.metadata as client_metadata
  from latchkey.authorization_grants g join latchkey.clients c on c.id = g.client_id
  where g.id = ${id}`

/**
 * Uses up the pushed request that a pending request came from (RFC 9126 section 4): the first answer to either of two
 * pages of the same one is the only one.
 */
const usePushed = (sql: Db, id: string) => sql`
  used as (
    delete from latchkey.pushed_requests p using latchkey.authorization_grants g
    where g.id = ${id} and g.fulfilled_at is null and g.cancelled_at is null and p.digest = g.pushed_digest
    returning p.digest)`

/** Fulfils a pending request with a code; no row when it is not pending any more. */
export const fulfilGrant = (
  sql: Db,
  id: string,
  browserSessionId: string,
  codeHash: Uint8Array,
  now: Date,
) => sql<{ id: string }[]>`
  with ${usePushed(sql, id)}
  update latchkey.authorization_grants
  set fulfilled_at = ${now}, browser_session_id = ${browserSessionId}, code_hash = ${codeHash}
  where id = ${id} and fulfilled_at is null and cancelled_at is null
    and (pushed_digest is null or pushed_digest = (select digest from used))
  returning id`

/** Cancels a pending request; no row when it is not pending any more. */
export const cancelGrant = (sql: Db, id: string, now: Date) => sql<{ id: string }[]>`
  with ${usePushed(sql, id)}
  update latchkey.authorization_grants set cancelled_at = ${now}
  where id = ${id} and fulfilled_at is null and cancelled_at is null
    and (pushed_digest is null or pushed_digest = (select digest from used))
  returning id`

/** Notes that the person of a session proved anew who they are, for the request that asked for it. */
export const freshenGrant = (sql: Db, id: string, sessionId: string) => sql`
  update latchkey.authorization_grants set stale_session_id = null where id = ${id} and stale_session_id = ${sessionId}`

/** What the exchange of a code needs to know: the request, the browser session behind it, its user. */
export interface CodeRow extends GrantRow {
  session_authenticated_at: Date | null
  session_authentication_method: AuthenticationMethod | null
  session_finished_at: Date | null
  user_id: string | null
  username: string | null
  display_name: string | null
  locked_at: Date | null
  deactivated_at: Date | null
}

/** The request of a code. */
export const findGrantByCode = (sql: Db, codeHash: Uint8Array) => sql<CodeRow[]>`
  select ${columns(sql)}, b.authenticated_at as session_authenticated_at,
    b.authentication_method as session_authentication_method, b.finished_at as session_finished_at,
    u.id as user_id, u.username, u.display_name, u.locked_at, u.deactivated_at
  from latchkey.authorization_grants g
    left join latchkey.browser_sessions b on b.id = g.browser_session_id
    left join latchkey.users u on u.id = b.user_id
  where g.code_hash = ${codeHash}`

/**
 * Claims a code until `until` for the exchange that makes `sessionId`; no row when it was exchanged or another exchange
 * holds it (decision 9).
 */
export const claimCode = (sql: Db, id: string, sessionId: string, now: Date, until: Date) => sql<
  { id: string; scope: string[] }[]
>`
  update latchkey.authorization_grants set claimed_until = ${until}, oauth_session_id = ${sessionId}
  where id = ${id} and exchanged_at is null and (claimed_until is null or claimed_until <= ${now})
  returning id, scope`

/** Whether a code was exchanged by now. */
export const findCodeState = (sql: Db, id: string) => sql<{ exchanged_at: Date | null }[]>`
  select exchanged_at from latchkey.authorization_grants where id = ${id}`

/**
 * Frees a code after a failed exchange, if that one still holds it. One that was spent is freed too: a commit whose
 * answer was lost gave nobody a token.
 */
export const releaseCode = (sql: Db, id: string, sessionId: string) => sql`
  update latchkey.authorization_grants set claimed_until = null, exchanged_at = null
  where id = ${id} and oauth_session_id = ${sessionId}`

/** Spends a claimed code; no row when the claim ran out and another exchange took it. */
export const spendCode = (sql: Db, id: string, sessionId: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.authorization_grants set exchanged_at = ${now}
  where id = ${id} and exchanged_at is null and oauth_session_id = ${sessionId}
  returning id`

/** What an authorization request said, as it was sent. */
export const findRawParameters = (sql: Db, id: string) => sql<{ raw_parameters: Record<string, string> }[]>`
  select raw_parameters from latchkey.authorization_grants where id = ${id}`
