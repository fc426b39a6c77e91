import type { Db, Json } from './connect.ts'

/** What the policy was told at run time, once. Of several rows the newest counts. */
export interface PolicyDataRow {
  id: string
  created_at: Date
  data: Json
}

/** Adds a row, which counts from now on. */
export const insertPolicyData = (sql: Db, row: { id: string; data: Json; now: Date }) => sql<PolicyDataRow[]>`
  insert into latchkey.policy_data (id, created_at, data) values (${row.id}, ${row.now}, ${sql.json(row.data)})
  returning id, created_at, data`

/** One row, whether it still counts or not. */
export const findPolicyData = (sql: Db, id: string) => sql<PolicyDataRow[]>`
  select id, created_at, data from latchkey.policy_data where id = ${id}`

/** The row that counts. */
export const latestPolicyData = (sql: Db) => sql<PolicyDataRow[]>`
  select id, created_at, data from latchkey.policy_data order by position desc limit 1`

/** The id of the row that counts: cheap to ask for again and again, however long the lists are. */
export const latestPolicyDataId = (sql: Db) => sql<{ id: string }[]>`
  select id from latchkey.policy_data order by position desc limit 1`

/** Deletes all but the newest `kept` rows. */
export const deleteOldPolicyData = (sql: Db, kept: number) => sql<{ id: string }[]>`
  delete from latchkey.policy_data
  where id not in (select id from latchkey.policy_data order by position desc limit ${kept})
  returning id`
