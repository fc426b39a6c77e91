import type { Db } from './connect.ts'

/** How an account stands, for the first page of the account area. */
export interface AccountSummaryRow {
  email: string | null
  emails: number
  password_set_at: Date | null
  /** It is linked to an entry of a directory. */
  in_directory: boolean
  apps: number
  tokens: number
  event_kind: string | null
  event_at: Date | null
}

/** The main address and how many there are, the password's age, apps, tokens of the person's own, the last event. */
export const findAccountSummary = (sql: Db, userId: string) => sql<AccountSummaryRow[]>`
  select
    (select e.email from latchkey.user_emails e where e.user_id = u.id order by e.is_primary desc, e.id limit 1) as email,
    (select count(*)::int from latchkey.user_emails e where e.user_id = u.id) as emails,
    (select max(p.created_at) from latchkey.user_passwords p where p.user_id = u.id) as password_set_at,
    exists (select from latchkey.directory_links l where l.user_id = u.id) as in_directory,
    (select count(distinct s.client_id)::int from latchkey.oauth_sessions s
      where s.user_id = u.id and s.finished_at is null) as apps,
    (select count(*)::int from latchkey.personal_sessions s
      where (s.user_id = u.id or s.owner_user_id = u.id) and s.finished_at is null) as tokens,
    v.kind as event_kind, v.at as event_at
  from latchkey.users u left join lateral (
    select l.kind, l.at from latchkey.security_events l where l.user_id = u.id order by l.id desc limit 1
  ) v on true
  where u.id = ${userId}`
