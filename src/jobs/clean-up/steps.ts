import { deleteOldCaptchas } from '../../../sql/captcha.ts'
import {
  deleteExpiredJwts,
  deleteOldAuditEntries,
  deleteOldBrowsers,
  deleteOldCompatLogins,
  deleteOldDeviceGrants,
  deleteOldGrants,
  deleteOldIdempotencyKeys,
  deleteOldInvitations,
  deleteOldMails,
  deleteOldPushedRequests,
  deleteOldRecoveries,
  deleteOldRegistrations,
  deleteOldSecurityEvents,
  deleteOldTickets,
  deleteOldUpstreamSessions,
  deleteOldVerifications,
  deleteReplacedPasswords,
  deleteUnownedLinks,
} from '../../../sql/clean-up.ts'
import {
  type Blocks,
  deleteEndedBrowserSessions,
  deleteEndedCompatSessions,
  deleteEndedOauthSessions,
  deleteEndedPersonalSessions,
  deleteRevokedPersonalTokens,
  deleteSpentClientSessions,
  deleteSpentTokens,
  forgetAddresses,
  type WalkedTable,
} from '../../../sql/clean-up-sessions.ts'
import { deleteUnusedClients } from '../../../sql/client-registrations.ts'
import type { Sql } from '../../../sql/connect.ts'
import { deleteIdleLimits } from '../../../sql/limits.ts'
import { deleteOldLogoutReturns } from '../../../sql/logout-returns.ts'
import { deleteOldPolicyData } from '../../../sql/policy-data.ts'
import type { Config } from '../../config/schema.ts'
import { firstIdOf } from '../../lib/ulid.ts'

/** What a step is given. */
export interface CleanUp {
  sql: Sql
  kept: Config['retention']
  now: Date
  /** The instant so many seconds ago. */
  ago: (seconds: number) => Date
}

type Removed = PromiseLike<readonly unknown[]>

/** Something that goes after its time: the tables that it goes from, and how. */
export type Step = { name: string; tables: readonly string[] } & (
  | { all: (of: CleanUp) => Removed }
  /** Removes at most `limit`; called until a batch is not full. */
  | { batch: (of: CleanUp, limit: number) => Removed }
  /** Called for all blocks of the table, some at a time. */
  | { walk: WalkedTable; part: (of: CleanUp, blocks: Blocks) => Removed }
)

const DAY = 24 * 3600
const HOUR = 3600

const tokens = (table: 'tokens' | 'compat_tokens', name: string): Step => ({
  name,
  tables: [table],
  walk: table,
  part: ({ sql, kept, ago }, blocks) =>
    deleteSpentTokens(sql, table, blocks, {
      replaced: ago(kept.replaced_tokens),
      expired: ago(kept.expired_tokens),
    }),
})

const addresses = (table: Exclude<WalkedTable, 'tokens' | 'compat_tokens'>, name: string): Step => ({
  name,
  tables: [],
  walk: table,
  part: ({ sql, kept, ago }, blocks) => forgetAddresses(sql, table, blocks, ago(kept.session_addresses)),
})

/**
 * What `clean-up` removes, in this order: tokens before the sessions that would take all of them at once, sessions of
 * apps before the browser sessions that they hold. `docs/personal-data.md` tells operators.
 */
export const STEPS: readonly Step[] = [
  {
    name: 'requests',
    tables: ['authorization_grants'],
    batch: ({ sql, kept, ago }, limit) => deleteOldGrants(sql, ago(kept.requests), limit),
  },
  {
    name: 'device_requests',
    tables: ['device_grants'],
    batch: ({ sql, kept, ago }, limit) => deleteOldDeviceGrants(sql, ago(kept.requests), limit),
  },
  {
    name: 'pushed_requests',
    tables: ['pushed_requests'],
    // They live for minutes, and later ones clear them away; this is for the last one.
    batch: ({ sql, ago }, limit) => deleteOldPushedRequests(sql, ago(HOUR), limit),
  },
  {
    name: 'sign_ups',
    tables: ['registrations'],
    batch: ({ sql, kept, ago }, limit) =>
      deleteOldRegistrations(sql, ago(kept.abandoned_sign_ups), ago(kept.sign_ups), limit),
  },
  {
    name: 'verifications',
    tables: ['email_verifications'],
    batch: ({ sql, kept, ago }, limit) => deleteOldVerifications(sql, ago(kept.email_verifications), limit),
  },
  {
    name: 'recoveries',
    tables: ['recoveries'],
    batch: ({ sql, kept, ago }, limit) => deleteOldRecoveries(sql, ago(kept.recoveries), limit),
  },
  {
    name: 'recovery_links',
    tables: ['recovery_tickets'],
    batch: ({ sql, kept, ago }, limit) => deleteOldTickets(sql, ago(kept.recoveries), limit),
  },
  {
    name: 'invitations',
    tables: ['registration_tokens'],
    batch: ({ sql, kept, ago }, limit) => deleteOldInvitations(sql, ago(kept.invitations), limit),
  },
  {
    name: 'mails',
    tables: ['mails'],
    batch: ({ sql, kept, ago }, limit) => deleteOldMails(sql, ago(kept.undelivered_mails), limit),
  },
  {
    name: 'browsers',
    tables: ['known_browsers'],
    batch: ({ sql, kept, ago }, limit) => deleteOldBrowsers(sql, ago(kept.known_browsers), limit),
  },
  {
    name: 'passwords',
    tables: ['user_passwords'],
    batch: ({ sql, kept, ago }, limit) => deleteReplacedPasswords(sql, ago(kept.replaced_passwords), limit),
  },
  tokens('tokens', 'tokens'),
  tokens('compat_tokens', 'legacy_tokens'),
  {
    name: 'personal_tokens',
    tables: ['personal_tokens'],
    batch: ({ sql, kept, ago }, limit) => deleteRevokedPersonalTokens(sql, ago(kept.expired_tokens), limit),
  },
  {
    name: 'legacy_logins',
    tables: ['compat_logins'],
    batch: ({ sql, kept, ago }, limit) => deleteOldCompatLogins(sql, ago(kept.legacy_logins), limit),
  },
  {
    name: 'sessions',
    tables: ['oauth_sessions'],
    batch: ({ sql, kept, ago }, limit) => deleteEndedOauthSessions(sql, ago(kept.ended_sessions), limit),
  },
  {
    name: 'client_sessions',
    tables: ['oauth_sessions'],
    batch: ({ sql, kept, ago }, limit) => deleteSpentClientSessions(sql, ago(kept.ended_sessions), limit),
  },
  {
    name: 'legacy_sessions',
    tables: ['compat_sessions'],
    batch: ({ sql, kept, ago }, limit) => deleteEndedCompatSessions(sql, ago(kept.ended_sessions), limit),
  },
  {
    name: 'personal_sessions',
    tables: ['personal_sessions'],
    batch: ({ sql, kept, ago }, limit) => deleteEndedPersonalSessions(sql, ago(kept.ended_sessions), limit),
  },
  {
    name: 'browser_sessions',
    tables: ['browser_sessions'],
    batch: ({ sql, kept, ago }, limit) => deleteEndedBrowserSessions(sql, ago(kept.ended_sessions), limit),
  },
  {
    name: 'upstream_sign_ins',
    tables: ['upstream_sessions'],
    batch: ({ sql, kept, ago }, limit) => deleteOldUpstreamSessions(sql, ago(kept.requests), limit),
  },
  {
    name: 'logout_returns',
    tables: ['logout_returns'],
    batch: ({ sql, kept, ago }, limit) => deleteOldLogoutReturns(sql, ago(kept.requests), limit),
  },
  {
    name: 'upstream_identities',
    tables: ['upstream_links'],
    batch: ({ sql, kept, ago }, limit) => deleteUnownedLinks(sql, ago(kept.requests), limit),
  },
  addresses('oauth_sessions', 'addresses'),
  addresses('compat_sessions', 'legacy_addresses'),
  addresses('personal_sessions', 'personal_addresses'),
  addresses('browser_sessions', 'browser_addresses'),
  {
    name: 'clients',
    tables: ['clients'],
    batch: ({ sql, kept, ago }, limit) => deleteUnusedClients(sql, ago(kept.unused_clients), ago(DAY), limit),
  },
  {
    name: 'security_events',
    tables: ['security_events'],
    batch: ({ sql, kept, ago }, limit) =>
      deleteOldSecurityEvents(sql, firstIdOf(ago(kept.security_events)), limit),
  },
  {
    name: 'audit_log',
    tables: ['audit_log'],
    batch: ({ sql, kept, ago }, limit) => deleteOldAuditEntries(sql, firstIdOf(ago(kept.audit_log)), limit),
  },
  {
    name: 'captchas',
    tables: ['captcha_uses'],
    batch: ({ sql, now }, limit) => deleteOldCaptchas(sql, now, limit),
  },
  {
    name: 'used_jwts',
    tables: ['used_jwts'],
    batch: ({ sql, now }, limit) => deleteExpiredJwts(sql, now, limit),
  },
  {
    name: 'idempotency_keys',
    tables: ['idempotency_keys'],
    batch: ({ sql, kept, ago }, limit) => deleteOldIdempotencyKeys(sql, ago(kept.idempotency_keys), limit),
  },
  {
    name: 'policy_data',
    tables: ['policy_data'],
    all: ({ sql, kept }) => deleteOldPolicyData(sql, kept.policy_data_versions),
  },
  { name: 'limits', tables: ['rate_limits'], all: ({ sql, now }) => deleteIdleLimits(sql, now) },
]

/** Tables that no step is about, and why. A table that is neither here nor there fails a test. */
export const KEPT: Readonly<Record<string, string>> = {
  users: 'for ever: the name of an account is never given to somebody else',
  user_emails: 'with the account, until it is deactivated or the address is removed',
  upstream_providers: 'for ever: their names, so that what is linked can be named',
  directory_links: 'with the account, until it is unlinked: the entry of the directory that it signs in with',
  user_terms: 'with the account: what was accepted, and when',
  pending_deactivations: 'until it happens or is taken back; a job sees to the first',
  user_leases: 'with the account: a number that must only grow, and no more',
  consents: 'with the account and the app, whichever goes first',
  signing_keys: 'until `keys remove`',
  settings: 'for ever: a few facts about the deployment, none about people',
  migrations: 'for ever: what was done to the database',
}
