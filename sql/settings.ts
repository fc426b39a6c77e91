import type { Db, Json } from './connect.ts'

/** What the deployment remembers under `key`. */
export const findSetting = (sql: Db, key: string) => sql<{ value: unknown }[]>`
  select value from latchkey.settings where key = ${key}`

/** Remembers `value` under `key`, in place of what was there. */
export const putSetting = (sql: Db, key: string, value: unknown) => sql`
  insert into latchkey.settings (key, value) values (${key}, ${sql.json(value as Json)})
  on conflict (key) do update set value = excluded.value`
