import type { Db } from './connect.ts'

/** What a person set for pages and mails; null: nothing. */
export interface PreferencesRow {
  locale: string | null
  time_zone: string | null
}

/** The preferences of a user. */
export const findPreferences = (sql: Db, userId: string) => sql<PreferencesRow[]>`
  select locale, time_zone from latchkey.users where id = ${userId}`

/** Sets the preferences of a user. */
export const setPreferences = (
  sql: Db,
  userId: string,
  { locale, timeZone }: { locale: string | null; timeZone: string | null },
) => sql`
  update latchkey.users set locale = ${locale}, time_zone = ${timeZone} where id = ${userId}`

/** Sets the language of a user alone. */
export const setLocale = (sql: Db, userId: string, locale: string) => sql`
  update latchkey.users set locale = ${locale} where id = ${userId}`
