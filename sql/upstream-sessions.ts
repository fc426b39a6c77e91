import type { Db, Json } from './connect.ts'

/** One way to a provider and back. */
export interface UpstreamSessionRow {
  id: string
  provider_id: string
  browser_hash: Uint8Array
  sealed_secrets: string
  continuation: string
  created_at: Date
  claimed_at: Date | null
  link_id: string | null
  answer: Json | null
  completed_at: Date | null
  consumed_at: Date | null
}

const columns = (
  sql: Db,
) => sql`s.id, s.provider_id, s.browser_hash, s.sealed_secrets, s.continuation, s.created_at,
  s.claimed_at, s.link_id, s.answer, s.completed_at, s.consumed_at`

/** Begins a way to a provider. */
export const insertUpstreamSession = (
  sql: Db,
  session: {
    id: string
    providerId: string
    browserHash: Uint8Array
    stateHash: Uint8Array
    sealedSecrets: string
    continuation: string
    now: Date
  },
) => sql`
  insert into latchkey.upstream_sessions
    (id, provider_id, browser_hash, state_hash, sealed_secrets, continuation, created_at)
  values (${session.id}, ${session.providerId}, ${session.browserHash}, ${session.stateHash},
    ${session.sealedSecrets}, ${session.continuation}, ${session.now})`

/**
 * Claims the way that an answer belongs to: of this provider and this browser, begun after `since`, and not answered
 * before. No row for everything else.
 */
export const claimUpstreamSession = (
  sql: Db,
  session: { stateHash: Uint8Array; providerId: string; browserHash: Uint8Array; since: Date; now: Date },
) => sql<UpstreamSessionRow[]>`
  update latchkey.upstream_sessions s set claimed_at = ${session.now}
  where s.state_hash = ${session.stateHash} and s.provider_id = ${session.providerId}
    and s.browser_hash = ${session.browserHash} and s.created_at > ${session.since} and s.claimed_at is null
  returning ${columns(sql)}`

/** Notes who it was, and what the provider said. */
export const completeUpstreamSession = (
  sql: Db,
  id: string,
  result: {
    linkId: string
    answer: Json
    subject: string | null
    sid: string | null
    sealedIdToken: string | null
    now: Date
  },
) => sql`
  update latchkey.upstream_sessions
  set completed_at = ${result.now}, link_id = ${result.linkId}, answer = ${sql.json(result.answer)},
    subject = ${result.subject}, sid = ${result.sid}, sealed_id_token = ${result.sealedIdToken}
  where id = ${id} and claimed_at is not null and completed_at is null`

/** The newest way of a browser that led to a link and was not used yet, begun after `since`. */
export const findCompletedSession = (sql: Db, linkId: string, browserHash: Uint8Array, since: Date) => sql<
  UpstreamSessionRow[]
>`
  select ${columns(sql)} from latchkey.upstream_sessions s
  where s.link_id = ${linkId} and s.browser_hash = ${browserHash} and s.created_at > ${since}
    and s.completed_at is not null and s.consumed_at is null
  order by s.id desc limit 1`

/** A way of a browser that led to a link after `since`, and whose that is now: what was sent twice is done. */
export const findJustConsumedSession = (sql: Db, linkId: string, browserHash: Uint8Array, since: Date) => sql<
  { id: string; continuation: string; consumed_at: Date; username: string }[]
>`
  select s.id, s.continuation, s.consumed_at, u.username
  from latchkey.upstream_sessions s
    join latchkey.upstream_links l on l.id = s.link_id join latchkey.users u on u.id = l.user_id
  where s.link_id = ${linkId} and s.browser_hash = ${browserHash} and s.consumed_at > ${since}
  order by s.id desc limit 1`

/** What a provider said of somebody who signs up; nothing when it was used. */
export const findUpstreamAnswer = (sql: Db, id: string) => sql<
  { provider_id: string; answer: Json | null }[]
>`
  select provider_id, answer from latchkey.upstream_sessions where id = ${id} and consumed_at is null`

/** Uses a way up, for a session of a browser where it led to one; no row when it was used before. What the provider said goes. */
export const consumeUpstreamSession = (
  sql: Db,
  id: string,
  browserSessionId: string | null,
  now: Date,
) => sql<{ id: string; provider_id: string; link_id: string | null }[]>`
  update latchkey.upstream_sessions
  set consumed_at = ${now}, browser_session_id = ${browserSessionId}, answer = null
  where id = ${id} and completed_at is not null and consumed_at is null
  returning id, provider_id, link_id`

/**
 * The browser sessions of a subject at a provider, or of one of its sessions there, or of both together: ended ones too,
 * since apps may outlive them.
 */
export const listSessionsThrough = (
  sql: Db,
  providerId: string,
  { subject, sid }: { subject: string | null; sid: string | null },
) => sql<{ id: string; user_id: string }[]>`
  select distinct b.id, b.user_id
  from latchkey.upstream_sessions s join latchkey.browser_sessions b on b.id = s.browser_session_id
  where s.provider_id = ${providerId} and (${subject}::text is not null or ${sid}::text is not null)
    and (${subject}::text is null or s.subject = ${subject}) and (${sid}::text is null or s.sid = ${sid})`

/** The newest proof of who somebody is at the provider that a browser session came through. */
export const findSealedIdToken = (sql: Db, browserSessionId: string) => sql<
  { id: string; provider_id: string; sealed_id_token: string }[]
>`
  select id, provider_id, sealed_id_token from latchkey.upstream_sessions
  where browser_session_id = ${browserSessionId} and sealed_id_token is not null order by id desc limit 1`
