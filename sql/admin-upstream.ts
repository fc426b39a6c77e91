import type { Db } from './connect.ts'
import {
  bounds,
  type Counting,
  containing,
  counted,
  type Fragment,
  type ListTable,
  type PageBounds,
  where,
  window,
} from './page.ts'
import type { UpstreamLinkRow } from './upstream-links.ts'
import type { UpstreamProviderRow } from './upstream-providers.ts'

/** Which links; what is undefined does not matter. */
export interface UpstreamLinkFilter {
  userId: string | undefined
  providerId: string | undefined
  subject: string | undefined
  /** A part of what the account is called there, in any case. */
  accountName: string | undefined
}

const linkColumns = (sql: Db) =>
  sql`l.id, l.provider_id, l.subject, l.user_id, l.human_account_name, l.created_at, l.last_used_at`

const links = (sql: Db): ListTable => ({ from: sql`latchkey.upstream_links l`, id: sql`l.id` })

const linkConditions = (
  sql: Db,
  { userId, providerId, subject, accountName }: UpstreamLinkFilter,
): (Fragment | undefined)[] => [
  userId === undefined ? undefined : sql`l.user_id = ${userId}`,
  providerId === undefined ? undefined : sql`l.provider_id = ${providerId}`,
  subject === undefined ? undefined : sql`l.subject = ${subject}`,
  accountName === undefined ? undefined : sql`l.human_account_name ilike ${containing(accountName)}`,
]

/** A page of the links, and one row more when there are more. */
export const listUpstreamLinks = (sql: Db, filter: UpstreamLinkFilter, page: PageBounds) => sql<
  UpstreamLinkRow[]
>`
  select ${linkColumns(sql)} from latchkey.upstream_links l
  ${where(sql, [...linkConditions(sql, filter), ...bounds(sql, links(sql), page)])} ${window(sql, links(sql), page)}`

/** How many there are. */
export const countUpstreamLinks = (sql: Db, filter: UpstreamLinkFilter, how: Counting) =>
  counted(sql, sql`latchkey.upstream_links l`, linkConditions(sql, filter), how)

/** Makes a link of an account; no row when there is one of this subject. */
export const insertUpstreamLink = (
  sql: Db,
  link: {
    id: string
    providerId: string
    subject: string
    userId: string
    accountName: string | null
    now: Date
  },
) => sql<UpstreamLinkRow[]>`
  insert into latchkey.upstream_links as l (id, provider_id, subject, user_id, human_account_name, created_at)
  values (${link.id}, ${link.providerId}, ${link.subject}, ${link.userId}, ${link.accountName}, ${link.now})
  on conflict (provider_id, subject) do nothing
  returning ${linkColumns(sql)}`

/** Gives a link that is nobody's to an account; no row when it is somebody's, or is not there. */
export const adoptUpstreamLink = (sql: Db, providerId: string, subject: string, userId: string) => sql<
  UpstreamLinkRow[]
>`
  update latchkey.upstream_links l set user_id = ${userId}
  where l.provider_id = ${providerId} and l.subject = ${subject} and l.user_id is null
  returning ${linkColumns(sql)}`

/** Removes a link, whoever's it is. */
export const removeUpstreamLink = (sql: Db, id: string) => sql<{ id: string }[]>`
  delete from latchkey.upstream_links where id = ${id} returning id`

const providers = (sql: Db): ListTable => ({ from: sql`latchkey.upstream_providers p`, id: sql`p.id` })

const providerColumns = (
  sql: Db,
) => sql`p.id, p.issuer, p.human_name, p.brand_name, p.registration_token_required,
  p.created_at, p.disabled_at, p.by_api, p.settings, p.sealed_secrets is not null as has_secret`

const providerConditions = (sql: Db, enabled: boolean | undefined): (Fragment | undefined)[] => [
  enabled === undefined ? undefined : sql`(p.disabled_at is null) = ${enabled}`,
]

/** A page of the providers, and one row more when there are more. */
export const listUpstreamProviders = (sql: Db, enabled: boolean | undefined, page: PageBounds) => sql<
  UpstreamProviderRow[]
>`
  select ${providerColumns(sql)} from latchkey.upstream_providers p
  ${where(sql, [...providerConditions(sql, enabled), ...bounds(sql, providers(sql), page)])}
  ${window(sql, providers(sql), page)}`

/** How many there are. */
export const countUpstreamProviders = (sql: Db, enabled: boolean | undefined, how: Counting) =>
  counted(sql, sql`latchkey.upstream_providers p`, providerConditions(sql, enabled), how)

/** One of them. */
export const findUpstreamProvider = (sql: Db, id: string) => sql<UpstreamProviderRow[]>`
  select ${providerColumns(sql)} from latchkey.upstream_providers p where p.id = ${id}`
