import type { Db } from './connect.ts'

/** An address that is to be proven. */
export interface EmailVerificationRow {
  id: string
  email: string
  code_expires_at: Date
  created_at: Date
  completed_at: Date | null
  /** A provider said that it is theirs; nobody typed it here. */
  from_provider: boolean
}

const columns = (sql: Db) => sql`id, email, code_expires_at, created_at, completed_at, from_provider`

/** Whose address it is to become: of a sign-up or of an account. */
export type VerificationOwner = { registrationId: string } | { userId: string }

/** Begins to prove an address. */
export const insertEmailVerification = (
  sql: Db,
  verification: {
    id: string
    owner: VerificationOwner
    email: string
    codeHash: Uint8Array
    codeExpiresAt: Date
    fromProvider: boolean
    now: Date
  },
) => sql`
  insert into latchkey.email_verifications
    (id, registration_id, user_id, email, code_hash, code_expires_at, from_provider, created_at)
  values (${verification.id},
    ${'registrationId' in verification.owner ? verification.owner.registrationId : null},
    ${'userId' in verification.owner ? verification.owner.userId : null},
    ${verification.email}, ${verification.codeHash}, ${verification.codeExpiresAt}, ${verification.fromProvider},
    ${verification.now})`

/** Notes an address of a sign-up that somebody else proved: the provider that it came by. Nobody has a code for it. */
export const insertProvenVerification = (
  sql: Db,
  verification: { id: string; registrationId: string; email: string; codeHash: Uint8Array; now: Date },
) => sql`
  insert into latchkey.email_verifications
    (id, registration_id, email, code_hash, code_expires_at, created_at, completed_at)
  values (${verification.id}, ${verification.registrationId}, ${verification.email}, ${verification.codeHash},
    ${verification.now}, ${verification.now}, ${verification.now})`

/** That of a sign-up. */
export const findRegistrationVerification = (sql: Db, registrationId: string) => sql<EmailVerificationRow[]>`
  select ${columns(sql)} from latchkey.email_verifications where registration_id = ${registrationId}`

/** One of an account by its id. */
export const findUserVerification = (sql: Db, id: string, userId: string) => sql<EmailVerificationRow[]>`
  select ${columns(sql)} from latchkey.email_verifications where id = ${id} and user_id = ${userId}`

/** Those of an account that wait, newest first; what was typed before `since` is forgotten, what a provider said is not. */
export const listOpenVerifications = (sql: Db, userId: string, since: Date) => sql<EmailVerificationRow[]>`
  select ${columns(sql)} from latchkey.email_verifications
  where user_id = ${userId} and completed_at is null and (from_provider or created_at > ${since})
  order by id desc limit 10`

/** Gives a verification that is not completed another code, and another address perhaps; the old code ends. */
export const renewEmailVerification = (
  sql: Db,
  id: string,
  renewed: { email: string; codeHash: Uint8Array; codeExpiresAt: Date },
) => sql<{ id: string }[]>`
  update latchkey.email_verifications
  set email = ${renewed.email}, code_hash = ${renewed.codeHash}, code_expires_at = ${renewed.codeExpiresAt}
  where id = ${id} and completed_at is null
  returning id`

/** Completes a verification with its newest code; no row for a wrong, old or used one. */
export const completeEmailVerification = (sql: Db, id: string, codeHash: Uint8Array, now: Date) => sql<
  { email: string }[]
>`
  update latchkey.email_verifications set completed_at = ${now}
  where id = ${id} and code_hash = ${codeHash} and code_expires_at > ${now} and completed_at is null
  returning email`

/** Takes back that an address was proven: somebody else has it by now. */
export const reopenEmailVerification = (sql: Db, id: string, codeHash: Uint8Array, now: Date) => sql`
  update latchkey.email_verifications
  set completed_at = null, code_hash = ${codeHash}, code_expires_at = ${now} where id = ${id}`

/** Gives up to prove an address. */
export const deleteUserVerification = (sql: Db, id: string, userId: string) => sql`
  delete from latchkey.email_verifications where id = ${id} and user_id = ${userId}`
