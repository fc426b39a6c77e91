import type { Db } from '../../sql/connect.ts'
import {
  completeEmailVerification,
  type EmailVerificationRow,
  insertEmailVerification,
  renewEmailVerification,
  type VerificationOwner,
} from '../../sql/email-verifications.ts'
import { listRecoverable } from '../../sql/recoveries.ts'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { addSeconds } from '../lib/clock.ts'
import { hmacSha256 } from '../lib/digest.ts'
import { randomString } from '../lib/random.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import { foldEmail } from './email-address.ts'
import { limitSubject, take, takeAll } from './limits.ts'
import { queueMail } from './mails.ts'
import { recoveryEnabled } from './recovery.ts'
import { recipientLanguage, type SecurityLogNeeds } from './security-log.ts'
import { knownUserAgent } from './user-agent.ts'

/** Seconds that a code works. */
export const CODE_LIFETIME = 600
const DIGITS = 6

type Needs = SecurityLogNeeds & Pick<Deps, 'urls'>

/** Who wants to prove an address, and what the mail says of them. */
export interface Claimant {
  username: string
  lang: string
  timeZone?: string
  requester: Requester
  /** Who says that the address is theirs, where they did not type it: the name of a provider. */
  saidBy?: string
}

/**
 * Takes from the limits of mails with codes, by who asks and by address (reference operations 7); call it before a
 * transaction.
 *
 * @throws RateLimited
 */
export async function takeCodeLimits(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'secrets' | 'log'>,
  requester: Requester,
  email: string,
): Promise<void> {
  const limits = deps.config.rate_limiting.email_authentication
  await takeAll(
    deps,
    ['email-code.ip', limitSubject(requester.ip), limits.per_ip],
    ['email-code.address', foldEmail(email), limits.per_address],
  )
}

/** The same for another code of one verification, which has a limit of its own too. @throws RateLimited */
export async function takeResendLimits(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'secrets' | 'log'>,
  requester: Requester,
  verification: Pick<EmailVerificationRow, 'id'>,
  email: string,
): Promise<void> {
  const limits = deps.config.rate_limiting.email_authentication
  await take(deps, 'email-code.resend', verification.id, limits.emails_per_session)
  await takeCodeLimits(deps, requester, email)
}

/** Begins to prove that an address belongs to a sign-up or an account: the mail with the code is on its way. */
export async function beginVerification(
  deps: Needs,
  tx: Db,
  owner: VerificationOwner,
  email: string,
  claimant: Claimant,
): Promise<string> {
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const code = newCode(deps, id)
  const fromProvider = claimant.saidBy !== undefined
  await insertEmailVerification(tx, { id, owner, email, ...code.stored, fromProvider, now })
  await sendCode(deps, tx, owner, { id, email }, code.text, claimant)
  return id
}

/** Sends another code, to another address perhaps; the one before ends. False when the address is proven already. */
export async function renewVerification(
  deps: Needs,
  tx: Db,
  owner: VerificationOwner,
  verification: Pick<EmailVerificationRow, 'id'>,
  email: string,
  claimant: Claimant,
): Promise<boolean> {
  const code = newCode(deps, verification.id)
  const [renewed] = await renewEmailVerification(tx, verification.id, { email, ...code.stored })
  if (renewed) await sendCode(deps, tx, owner, { id: verification.id, email }, code.text, claimant)
  return renewed !== undefined
}

/** A code, and what the database keeps of it: an HMAC, since six digits are soon tried with a plain digest. */
function newCode(deps: Pick<Deps, 'clock' | 'random' | 'secrets'>, id: string) {
  const text = randomString(deps.random, DIGITS, '0123456789')
  const codeExpiresAt = addSeconds(deps.clock.now(), CODE_LIFETIME)
  return { text, stored: { codeHash: codeHash(deps, id, text), codeExpiresAt } }
}

const codeHash = ({ secrets }: Pick<Deps, 'secrets'>, id: string, code: string): Uint8Array =>
  hmacSha256(secrets.codes, `email\n${id}\n${code}`)

/**
 * The mail. Whoever owns an address is told that it has an account already, at the address as the account has it, and
 * gets no code: whoever typed it sees the same page and can't tell. (An account that adds an address of its own is told
 * by its page.)
 */
async function sendCode(
  deps: Needs,
  tx: Db,
  owner: VerificationOwner,
  { id, email }: { id: string; email: string },
  code: string,
  { username, requester, saidBy, ...language }: Claimant,
): Promise<void> {
  const device = knownUserAgent(requester.userAgent)
  const facts = {
    at: deps.clock.now().toISOString(),
    ...(requester.ip !== undefined && { ip: requester.ip }),
    ...(device !== undefined && { device }),
  }
  const accounts = await listRecoverable(tx, foldEmail(email))
  const [first] = accounts
  if (first) {
    const to = { address: first.email, name: '' }
    const mxids = accounts.map((one) => `@${one.username}:${deps.config.matrix.homeserver}`)
    await queueMail(deps, tx, 'address_in_use', {
      to,
      ...recipientLanguage(deps, first, requester),
      context: {
        accounts: mxids,
        sign_in_uri: deps.urls.absolute('/login'),
        ...(recoveryEnabled(deps) && { recover_uri: deps.urls.absolute('/recover') }),
        ...facts,
      },
    })
    return
  }
  await queueMail(
    deps,
    tx,
    'verification',
    {
      to: { address: email, name: username },
      ...language,
      context: {
        code,
        minutes: CODE_LIFETIME / 60,
        mxid: `@${username}:${deps.config.matrix.homeserver}`,
        purpose: 'registrationId' in owner ? 'sign_up' : 'add',
        // Whoever typed the address is on the page already.
        ...(saidBy !== undefined && {
          said: { by: saidBy, enter_uri: deps.urls.absolute(`/account/emails/${ulidFromUuid(id)}/verify`) },
        }),
        ...facts,
      },
    },
    addSeconds(deps.clock.now(), CODE_LIFETIME),
  )
}

/** What a code was: `expired` is told only of a right form, and of any code when the newest is too old. */
export type CodeAnswer = 'ok' | 'wrong' | 'expired'

/**
 * Proves an address with the newest code, in the caller's transaction. Take from `takeAttempt` first. Of two browsers
 * that send the right code at once one gets `ok`.
 */
export async function confirmCode(
  deps: Pick<Deps, 'clock' | 'secrets'>,
  tx: Db,
  verification: EmailVerificationRow,
  code: string,
): Promise<CodeAnswer> {
  const now = deps.clock.now()
  if (verification.code_expires_at <= now) return 'expired'
  const hash = codeHash(deps, verification.id, code)
  const [completed] = await completeEmailVerification(tx, verification.id, hash, now)
  return completed ? 'ok' : 'wrong'
}

/** The digits that somebody typed, in groups or not; undefined when they can be no code. */
export function parseCode(typed: string | undefined): string | undefined {
  const code = (typed ?? '').normalize('NFKC').replace(/[\s-]/g, '')
  return /^\d{6}$/.test(code) ? code : undefined
}

/** Takes one of the attempts that a verification has. @throws RateLimited */
export const takeAttempt = (
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'secrets' | 'log'>,
  verification: Pick<EmailVerificationRow, 'id'>,
): Promise<void> =>
  take(
    deps,
    'email-code.attempt',
    verification.id,
    deps.config.rate_limiting.email_authentication.attempt_per_session,
  )

/** Has nobody prove an address any more: the digest of nothing that is ever sent. */
export const uselessHash = (deps: Pick<Deps, 'random'>): Uint8Array => deps.random.bytes(32)
