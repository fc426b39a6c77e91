import type { Db } from './connect.ts'

/** A signing key of the database, its private part sealed. */
export interface SigningKeyRow {
  kid: string
  sealed_key: string
  created_at: Date
  signs_from: Date
}

/** Every key, the oldest first: of several that can do an algorithm the last one signs. */
export const listSigningKeys = (sql: Db) => sql<SigningKeyRow[]>`
  select kid, sealed_key, created_at, signs_from from latchkey.signing_keys order by created_at, kid`

/** Adds a key. */
export const insertSigningKey = (
  sql: Db,
  key: { kid: string; sealedKey: string; now: Date; signsFrom: Date },
) => sql`
  insert into latchkey.signing_keys (kid, sealed_key, created_at, signs_from)
  values (${key.kid}, ${key.sealedKey}, ${key.now}, ${key.signsFrom})`

/** Removes a key for good; no row when there is none. */
export const deleteSigningKey = (sql: Db, kid: string) => sql<{ kid: string }[]>`
  delete from latchkey.signing_keys where kid = ${kid} returning kid`
