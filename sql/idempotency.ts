import type { Db } from './connect.ts'

/**
 * Claims a key for a request; no row when somebody had it first. One whose request began before `abandoned` and never
 * answered died with its process, and is claimed anew.
 */
export const claimIdempotencyKey = (
  sql: Db,
  claim: { keyHash: Uint8Array; requestHash: Uint8Array; now: Date; abandoned: Date },
) => sql<{ key_hash: Uint8Array }[]>`
  insert into latchkey.idempotency_keys as k (key_hash, request_hash, created_at)
  values (${claim.keyHash}, ${claim.requestHash}, ${claim.now})
  on conflict (key_hash) do update set created_at = excluded.created_at
    where k.status is null and k.request_hash = excluded.request_hash and k.created_at < ${claim.abandoned}
  returning key_hash`

/** What was asked under a key, and answered, if it was. */
export const findIdempotencyKey = (sql: Db, keyHash: Uint8Array) => sql<
  { request_hash: Uint8Array; status: number | null; sealed_answer: string | null }[]
>`
  select request_hash, status, sealed_answer from latchkey.idempotency_keys where key_hash = ${keyHash}`

/** Keeps the answer of a request. */
export const answerIdempotencyKey = (
  sql: Db,
  keyHash: Uint8Array,
  status: number,
  sealedAnswer: string,
) => sql`
  update latchkey.idempotency_keys set status = ${status}, sealed_answer = ${sealedAnswer}
  where key_hash = ${keyHash}`

/** Frees the key of a request that created nothing. */
export const releaseIdempotencyKey = (sql: Db, keyHash: Uint8Array) => sql`
  delete from latchkey.idempotency_keys where key_hash = ${keyHash} and status is null`
