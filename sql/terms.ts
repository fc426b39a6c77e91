import type { Db } from './connect.ts'

/** Terms that people accept: where they are, and which version it is, '' where versions have no names. */
export interface Terms {
  uri: string
  version: string
}

/** Records that a user accepted terms. */
export const insertTerms = (sql: Db, userId: string, { uri, version }: Terms, now: Date) => sql`
  insert into latchkey.user_terms (user_id, terms_uri, version, accepted_at)
  values (${userId}, ${uri}, ${version}, ${now})
  on conflict do nothing`

/** Whether a user ever accepted any. */
export const hasAcceptedTerms = (sql: Db, userId: string) => sql<{ exists: boolean }[]>`
  select exists (select from latchkey.user_terms where user_id = ${userId}) as exists`
