import type { Sql } from '../../sql/connect.ts'
import { newToken, tokenDigest } from '../../src/crypto/tokens.ts'
import { sha256 } from '../../src/lib/digest.ts'
import type { Random } from '../../src/lib/random.ts'
import { newId, ulidFromUuid } from '../../src/lib/ulid.ts'

/** Rows in one statement. */
const BATCH = 5000
/** Sessions of one user. */
const SESSIONS_PER_USER = 3
const API_SCOPE = 'urn:matrix:client:api:*'

/** Repeatable randomness: bytes that `name` determines. */
export function seededRandom(name: string): Random {
  let counter = 0
  return {
    bytes(length) {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at += 32)
        bytes.set(sha256(`${name} ${counter++}`).subarray(0, Math.min(32, length - at)), at)
      return bytes
    },
  }
}

/** The access or refresh token of the seeded session `index`. */
export const seededToken = (kind: 'mat' | 'mar', index: number): string =>
  newToken(kind, seededRandom(`${kind} ${index}`))

/**
 * Adds sessions `from` to `to` of a public client, each with a live access and refresh token, three to a user. With
 * `used`, the access tokens have been seen before, so that introspection does not write.
 */
export async function seedSessions(
  sql: Sql,
  options: { clientId: string; from: number; to: number; used: boolean },
): Promise<void> {
  for (let from = options.from; from < options.to; from += BATCH)
    await seedBatch(sql, { ...options, from, to: Math.min(from + BATCH, options.to) })
  await sql`analyze`
}

async function seedBatch(sql: Sql, batch: { clientId: string; from: number; to: number; used: boolean }) {
  const now = new Date()
  const expires = new Date(now.getTime() + 86_400_000)
  const random = seededRandom(`ids ${batch.from}`)
  const users: { id: string; name: string }[] = []
  const rows = Array.from({ length: batch.to - batch.from }, (_, offset) => {
    const index = batch.from + offset
    if (offset % SESSIONS_PER_USER === 0) users.push({ id: newId(now, random), name: `user${index}` })
    return {
      session: newId(now, random),
      user: users.at(-1)?.id ?? '',
      device: `DEVICE${index}`,
      pair: newId(now, random),
      accessHash: tokenDigest(seededToken('mat', index)).toHex(),
      refreshHash: tokenDigest(seededToken('mar', index)).toHex(),
    }
  })
  const column = <K extends keyof (typeof rows)[number]>(name: K) => rows.map((row) => row[name])
  await sql.begin(async (tx) => {
    await tx`
      insert into latchkey.users (id, username, username_folded, created_at)
      select id, name, name, ${now} from unnest(${users.map(({ id }) => id)}::uuid[],
        ${users.map(({ name }) => name)}::text[]) as u (id, name)`
    await tx`
      insert into latchkey.oauth_sessions (id, client_id, user_id, scope, device_id, created_at, last_active_at)
      select id, ${batch.clientId}, user_id, array['openid', ${API_SCOPE}, 'urn:matrix:client:device:' || device],
        device, ${now}, ${now}
      from unnest(${column('session')}::uuid[], ${column('user')}::uuid[], ${column('device')}::text[])
        as s (id, user_id, device)`
    await tx`
      insert into latchkey.tokens (session_id, id, access_hash, refresh_hash, expires_at, first_used_at)
      select session_id, id, decode(access, 'hex'), decode(refresh, 'hex'), ${expires}::timestamptz,
        ${batch.used ? now : null}::timestamptz
      from unnest(${column('session')}::uuid[], ${column('pair')}::uuid[], ${column('accessHash')}::text[],
        ${column('refreshHash')}::text[]) as t (session_id, id, access, refresh)`
  })
}

/** Adds a public client; gives its `client_id`, the ULID. */
export async function seedClient(sql: Sql, redirectUri: string): Promise<{ id: string; clientId: string }> {
  const id = newId(new Date(), seededRandom('client'))
  await sql`
    insert into latchkey.clients (id, auth_method, redirect_uris, grant_types, metadata, created_at)
    values (${id}, 'none', ${[redirectUri]}, ${['authorization_code', 'refresh_token']},
      ${sql.json({ client_name: 'Bench', client_uri: 'https://app.example.com/', application_type: 'web' })},
      ${new Date()})`
  return { id, clientId: ulidFromUuid(id) }
}

/** Adds users who sign in with the password of `hash`, named `prefix` and a number; gives their names. */
export async function seedPeople(
  sql: Sql,
  count: number,
  hash: string,
  prefix = 'person',
): Promise<string[]> {
  const now = new Date()
  const random = seededRandom(prefix)
  const names = Array.from({ length: count }, (_, index) => `${prefix}${index}`)
  const ids = names.map(() => newId(now, random))
  await sql`
    insert into latchkey.users (id, username, username_folded, created_at, provisioned_at)
    select id, name, name, ${now}, ${now} from unnest(${ids}::uuid[], ${names}::text[]) as u (id, name)`
  await sql`
    insert into latchkey.user_passwords (id, user_id, version, hash, created_at)
    select id, id, 1, ${hash}, ${now} from unnest(${ids}::uuid[]) as u (id)`
  return names
}
