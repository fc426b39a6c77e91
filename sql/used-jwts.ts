import type { Db } from './connect.ts'

/** Notes that a JWT was used; no row when it was used before. */
export const insertUsedJwt = (sql: Db, digest: Uint8Array, expiresAt: Date) => sql<{ digest: Uint8Array }[]>`
  insert into latchkey.used_jwts (digest, expires_at) values (${digest}, ${expiresAt})
  on conflict do nothing
  returning digest`
