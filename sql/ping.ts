import type { Db } from './connect.ts'

/** Asks the database for a sign of life. */
export const pingDatabase = (sql: Db) => sql<{ alive: number }[]>`select 1 as alive`
