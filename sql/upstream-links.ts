import type { Db } from './connect.ts'

/** A person as a provider knows them, and whose account that is. */
export interface UpstreamLinkRow {
  id: string
  provider_id: string
  subject: string
  user_id: string | null
  human_account_name: string | null
  created_at: Date
  last_used_at: Date | null
}

const columns = (sql: Db) =>
  sql`l.id, l.provider_id, l.subject, l.user_id, l.human_account_name, l.created_at, l.last_used_at`

/** The link of a subject at a provider; makes it, without an owner, the first time. What it is called stays. */
export const meetUpstreamLink = (
  sql: Db,
  link: { id: string; providerId: string; subject: string; accountName: string | null; now: Date },
) => sql<UpstreamLinkRow[]>`
  insert into latchkey.upstream_links as l (id, provider_id, subject, human_account_name, created_at)
  values (${link.id}, ${link.providerId}, ${link.subject}, ${link.accountName}, ${link.now})
  on conflict (provider_id, subject)
    do update set human_account_name = coalesce(l.human_account_name, excluded.human_account_name)
  returning ${columns(sql)}`

/** The link of an id. */
export const findUpstreamLink = (sql: Db, id: string) => sql<UpstreamLinkRow[]>`
  select ${columns(sql)} from latchkey.upstream_links l where l.id = ${id}`

/** Gives a link without an owner to an account; no row when somebody else was faster. */
export const ownUpstreamLink = (sql: Db, id: string, userId: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.upstream_links set user_id = ${userId}, last_used_at = ${now}
  where id = ${id} and (user_id is null or user_id = ${userId})
  returning id`

/** Notes that somebody signed in with a link; no row when it is not theirs any more. */
export const touchUpstreamLink = (sql: Db, id: string, userId: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.upstream_links set last_used_at = ${now} where id = ${id} and user_id = ${userId} returning id`

/** Whether the owner of a link was asked for an address, by its digest. */
export const wasAskedForEmail = (sql: Db, id: string, emailHash: Uint8Array) => sql<{ id: string }[]>`
  select id from latchkey.upstream_links where id = ${id} and asked_email_hash = ${emailHash}`

/** Notes that the owner of a link is asked for an address; no row when they were, or it is somebody else's link. */
export const noteAskedForEmail = (sql: Db, id: string, userId: string, emailHash: Uint8Array) => sql<
  { id: string }[]
>`
  update latchkey.upstream_links set asked_email_hash = ${emailHash}
  where id = ${id} and user_id = ${userId} and asked_email_hash is distinct from ${emailHash}
  returning id`

/** The links of an account at one provider. */
export const listUpstreamLinksAt = (sql: Db, userId: string, providerId: string) => sql<UpstreamLinkRow[]>`
  select ${columns(sql)} from latchkey.upstream_links l
  where l.user_id = ${userId} and l.provider_id = ${providerId} order by l.id`

/** Takes the links of an account at one provider away from it. */
export const deleteUpstreamLinksAt = (sql: Db, userId: string, providerId: string) => sql<{ id: string }[]>`
  delete from latchkey.upstream_links where user_id = ${userId} and provider_id = ${providerId} returning id`

/** A link as its owner sees it. */
export interface LinkedIdentityRow extends UpstreamLinkRow {
  provider_name: string | null
  provider_issuer: string | null
  provider_disabled: boolean
}

/** The identities of an account. */
export const listLinkedIdentities = (sql: Db, userId: string) => sql<LinkedIdentityRow[]>`
  select ${columns(sql)}, p.human_name as provider_name, p.issuer as provider_issuer,
    p.disabled_at is not null as provider_disabled
  from latchkey.upstream_links l join latchkey.upstream_providers p on p.id = l.provider_id
  where l.user_id = ${userId} order by l.id`

/** Takes one identity from an account; no row when it is not theirs. */
export const deleteUpstreamLink = (sql: Db, id: string, userId: string) => sql<{ id: string }[]>`
  delete from latchkey.upstream_links where id = ${id} and user_id = ${userId} returning id`
