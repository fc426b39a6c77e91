import type { Db } from '../../sql/connect.ts'
import {
  findMailRecipient,
  findSecurityEventSince,
  insertSecurityEvent,
  listSecurityEvents as listRows,
  type SecurityEventRow,
} from '../../sql/security-events.ts'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { addSeconds } from '../lib/clock.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import { chooseLanguage } from '../render/translate.ts'
import { type MailNeeds, queueMail } from './mails.ts'
import { describeUserAgent, knownUserAgent } from './user-agent.ts'

/**
 * What happens to accounts, and whether the owner gets a mail about it: what somebody who got in would do, and what
 * takes access away. Each kind has a text `security_event.<kind>`, those with a mail also `mail.notice.<kind>`.
 */
const KINDS = {
  signed_up: { notice: false },
  // Has a mail of its own.
  approved: { notice: false },
  signed_in: { notice: false },
  signed_in_new_browser: { notice: true },
  // With nothing but the password, on a device that was not there before.
  signed_in_legacy: { notice: true },
  password_changed: { notice: true },
  password_reset: { notice: true },
  email_added: { notice: true },
  email_removed: { notice: true },
  email_primary: { notice: true },
  identity_linked: { notice: true },
  identity_unlinked: { notice: true },
  // As common as signing in; several at once are not.
  session_ended: { notice: false },
  sessions_ended: { notice: true },
  personal_token_created: { notice: true },
  personal_token_revoked: { notice: true },
  code_replayed: { notice: true },
  refresh_token_reused: { notice: true },
  recovery_requested: { notice: false },
  recovery_link_issued: { notice: true },
  locked: { notice: true },
  unlocked: { notice: true },
  // Has a mail of its own, with the link that takes it back.
  deactivation_requested: { notice: false },
  deactivation_undone: { notice: true },
  deactivated: { notice: true },
  // Its addresses went when it was deactivated.
  reactivated: { notice: false },
  keys_reset_allowed: { notice: true },
  admin_given: { notice: true },
  admin_taken: { notice: true },
} as const

export type SecurityEventKind = keyof typeof KINDS

/** The kinds, for tests and pages that need a text for each. */
export const SECURITY_EVENT_KINDS = Object.keys(KINDS) as SecurityEventKind[]

/** Whether the owner gets a mail about events of this kind. */
export const isNoticed = (kind: SecurityEventKind): boolean => KINDS[kind].notice

/** Something that happened to an account. */
export interface SecurityEvent {
  userId: string
  kind: SecurityEventKind
  /** Who did it: the owner (or whoever acts as them) unless given. */
  actor?: SecurityEventRow['actor']
  requester?: Requester
  /** What it was about: `email`, `name` (of an app, a token), ids. Shown to the owner; never a secret. */
  details?: Record<string, string>
  /** Who else is told: the address that was just removed. */
  alsoTo?: string
  /** Seconds in which another event of this kind of the same account says nothing new. */
  quietFor?: number
}

/** What `recordSecurityEvent` needs. */
export type SecurityLogNeeds = MailNeeds & Pick<Deps, 'translate'>

/**
 * Writes an event into the security log in the caller's transaction, with the mail to the owner where the kind has
 * one. Call it before addresses of the account are deleted there, or nobody is left to write to.
 */
export async function recordSecurityEvent(
  deps: SecurityLogNeeds,
  tx: Db,
  event: SecurityEvent,
): Promise<void> {
  const { userId, kind, actor = 'self', requester, details = {} } = event
  const now = deps.clock.now()
  if (event.quietFor !== undefined) {
    const [recent] = await findSecurityEventSince(tx, userId, kind, addSeconds(now, -event.quietFor))
    if (recent) return
  }
  const [, [owner]] = await Promise.all([
    insertSecurityEvent(tx, {
      id: newId(now, deps.random),
      userId,
      kind,
      at: now,
      actor,
      ip: requester?.ip ?? null,
      userAgent: requester?.userAgent ?? null,
      details,
    }),
    isNoticed(kind) ? findMailRecipient(tx, userId) : [],
  ])
  if (!owner) return
  const device = knownUserAgent(requester?.userAgent)
  const addresses = [owner.email, event.alsoTo].filter((address) => address !== null && address !== undefined)
  for (const address of new Set(addresses))
    await queueMail(deps, tx, 'security_notice', {
      to: { address, name: owner.username },
      ...recipientLanguage(deps, owner, requester),
      context: {
        event: kind,
        username: owner.username,
        mxid: `@${owner.username}:${deps.config.matrix.homeserver}`,
        at: now.toISOString(),
        by_admin: actor === 'admin',
        email: details.email ?? '',
        name: details.name ?? '',
        ...(requester?.ip !== undefined && { ip: requester.ip }),
        ...(device !== undefined && { device }),
      },
    })
}

/** The language and zone that a person chose; else the language of the browser that was used. */
export function recipientLanguage(
  deps: Pick<Deps, 'translate'>,
  person: { locale: string | null; time_zone: string | null },
  requester: Requester | undefined,
): { lang: string; timeZone?: string } {
  const { languages } = deps.translate
  return {
    lang:
      languages.find((tag) => tag === person.locale) ??
      chooseLanguage(requester?.acceptLanguage ?? null, languages),
    ...(person.time_zone !== null && { timeZone: person.time_zone }),
  }
}

/** An event as the account area shows it. */
export interface LoggedSecurityEvent {
  /** ULID; give the last one as `before` for the next page. */
  id: string
  kind: string
  at: Date
  actor: SecurityEventRow['actor']
  ip: string | undefined
  /** For example "Firefox, Linux". */
  device: string | undefined
  details: Record<string, string>
}

/** The security log of an account, newest first; `before` is the uuid of the last event of the page before. */
export async function listSecurityEvents(
  deps: Pick<Deps, 'sql'>,
  userId: string,
  options: { before?: string; limit: number },
): Promise<LoggedSecurityEvent[]> {
  const rows = await listRows(deps.sql, userId, options.before ?? null, options.limit)
  return rows.map((row) => ({
    id: ulidFromUuid(row.id),
    kind: row.kind,
    at: row.at,
    actor: row.actor,
    ip: row.ip ?? undefined,
    device: describeUserAgent(row.user_agent ?? undefined),
    details: row.details,
  }))
}
