import { int, section } from './parts.ts'

const HOUR = 3600
const DAY = 24 * HOUR
const YEAR = 365 * DAY
/** In effect for ever. */
const CENTURY = 100 * YEAR

const kept = (value: number, least: number, description: string) => int(value, least, CENTURY, description)

/** `retention`: how long what nobody uses any more is kept, in seconds. */
export const retention = section(
  {
    ended_sessions: kept(
      30 * DAY,
      DAY,
      'Sessions of apps, browsers and personal tokens that ended, with their tokens.',
    ),
    session_addresses: kept(
      30 * DAY,
      DAY,
      'The IP address that a session was last used from, since that use. The session stays.',
    ),
    expired_tokens: kept(
      30 * DAY,
      HOUR,
      'Access tokens that ran out or were revoked, unless a refresh token that is still good came with them.',
    ),
    replaced_tokens: kept(
      HOUR,
      600,
      'Tokens that a refresh replaced, once the new ones were used. After that a copy of an old one is refused as unknown, without a warning.',
    ),
    replaced_passwords: kept(0, 0, 'Hashes of passwords that were replaced.'),
    requests: kept(7 * DAY, DAY, 'Authorization requests, and devices that asked for a code.'),
    legacy_logins: kept(
      DAY,
      HOUR,
      'Logins of older clients through the browser, unless their session goes on.',
    ),
    sign_ups: kept(30 * DAY, DAY, 'What a finished sign-up was asked.'),
    abandoned_sign_ups: kept(DAY, HOUR, 'Sign-ups that nobody finished.'),
    recoveries: kept(7 * DAY, DAY, 'Requests for a new password, and their links.'),
    email_verifications: kept(7 * DAY, DAY, 'Addresses that were to be confirmed with a code.'),
    undelivered_mails: kept(7 * DAY, DAY, 'Mails that could not be sent.'),
    invitations: kept(YEAR, DAY, 'Invitations that were revoked, ran out or are used up.'),
    unused_clients: kept(90 * DAY, 90 * DAY, 'Apps that registered themselves and that nobody signed in to.'),
    security_events: kept(YEAR, DAY, 'What happened to an account, as its owner sees it.'),
    known_browsers: kept(
      400 * DAY,
      DAY,
      'Browsers that an account was used with, since the last sign-in there. After that a sign-in is told as one from a new browser.',
    ),
    idempotency_keys: kept(DAY, HOUR, 'Answers of the admin API to requests with an idempotency key.'),
    audit_log: kept(YEAR, DAY, 'What administrators did.'),
    finished_jobs: kept(30 * DAY, HOUR, 'Jobs that are done, and those that were given up.'),
    policy_data_versions: int(10, 1, 10_000, 'How many of the last settings of the policy data are kept.'),
  },
  'How long what nobody uses any more is kept, in seconds.',
)
