import type { Db } from './connect.ts'

/** What is left of a list of scopes without some of them, in the same order. */
const without = (sql: Db, scopes: readonly string[]) => sql`
  array(select given.scope from unnest(scope) with ordinality as given (scope, place)
    where given.scope <> all (${scopes}::text[]) order by given.place)`

/** Takes scopes from the active sessions that clients have of a user. */
export const withdrawFromApps = (sql: Db, userId: string, scopes: readonly string[]) => sql<
  { id: string; scope: string[] }[]
>`
  update latchkey.oauth_sessions set scope = ${without(sql, scopes)}
  where user_id = ${userId} and finished_at is null and scope && ${scopes}::text[]
  returning id, scope`

/** Takes scopes from the active personal tokens that act as a user, or that the user made. */
export const withdrawFromTokens = (sql: Db, userId: string, scopes: readonly string[]) => sql<
  { id: string; scope: string[] }[]
>`
  update latchkey.personal_sessions set scope = ${without(sql, scopes)}
  where (user_id = ${userId} or owner_user_id = ${userId}) and finished_at is null and scope && ${scopes}::text[]
  returning id, scope`

/** Takes the homeserver's admin API from the active sessions of older clients of a user. */
export const withdrawFromCompatSessions = (sql: Db, userId: string) => sql<{ id: string }[]>`
  update latchkey.compat_sessions set synapse_admin = false
  where user_id = ${userId} and finished_at is null and synapse_admin
  returning id`

/** Takes scopes from what a user agreed to and no client has fetched yet. */
export const withdrawFromGrants = (sql: Db, userId: string, scopes: readonly string[]) => sql`
  with pages as (
    update latchkey.authorization_grants set scope = ${without(sql, scopes)}
    where exchanged_at is null and scope && ${scopes}::text[]
      and browser_session_id in (select b.id from latchkey.browser_sessions b where b.user_id = ${userId}))
  update latchkey.device_grants set scope = ${without(sql, scopes)}
  where exchanged_at is null and scope && ${scopes}::text[]
    and browser_session_id in (select b.id from latchkey.browser_sessions b where b.user_id = ${userId})`
