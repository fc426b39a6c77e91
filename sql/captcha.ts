import type { Db } from './connect.ts'

/** Uses up an answer to the check against robots; no row when it was used before. */
export const claimCaptcha = (sql: Db, digest: Uint8Array, expiresAt: Date) => sql<{ digest: Uint8Array }[]>`
  insert into latchkey.captcha_uses (digest, expires_at) values (${digest}, ${expiresAt})
  on conflict do nothing
  returning digest`

/** Forgets answers that ran out before `before`, at most `limit`: they are refused for their age. */
export const deleteOldCaptchas = (sql: Db, before: Date, limit: number) => sql<{ digest: Uint8Array }[]>`
  delete from latchkey.captcha_uses where digest in (
    select digest from latchkey.captcha_uses where expires_at < ${before} limit ${limit})
  returning digest`
