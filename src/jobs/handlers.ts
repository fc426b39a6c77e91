import { deleteOldCaptchas } from '../../sql/captcha.ts'
import {
  deleteEndedCompatTokens,
  deleteOldBrowsers,
  deleteOldCompatLogins,
  deleteOldDeviceGrants,
  deleteOldGrants,
  deleteOldIdempotencyKeys,
  deleteOldMails,
  deleteOldRecoveries,
  deleteOldRegistrations,
  deleteOldTickets,
  deleteOldVerifications,
} from '../../sql/clean-up.ts'
import { deleteUnusedClients } from '../../sql/client-registrations.ts'
import { listDevices } from '../../sql/devices.ts'
import { deleteOldPolicyData } from '../../sql/policy-data.ts'
import { listPeopleToCheck } from '../../sql/provisioning.ts'
import { deleteExpiredJwts } from '../../sql/used-jwts.ts'
import { findUser, listUnprovisioned } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { KNOWN_LIFETIME } from '../identity/begin-session.ts'
import { isUnknownUser, provisionUser, syncDevices } from '../identity/devices.ts'
import { canBeRepaired, checkDrift } from '../identity/drift.ts'
import { endInactiveSessions } from '../identity/inactive-sessions.ts'
import { sendRecoveryMails } from '../identity/recovery.ts'
import { addSeconds } from '../lib/clock.ts'
import { transact } from '../lib/transact.ts'
import { sendLogoutToken } from '../oauth/backchannel-logout.ts'
import type { JobHandlers } from './jobs.ts'

/** People of one step of `provision-everyone`. */
const PAGE = 100

const DAY = 24 * 3600
/** Seconds since its last registration that a client may go without a completed grant (decision 13). */
const UNUSED_CLIENT = 90 * DAY
/** Seconds that authorization and device requests are kept, and finished sign-ups (reference operations 5.4). */
const KEPT_REQUEST = 7 * DAY
const KEPT_SIGN_UP = 30 * DAY
/** Seconds that the tokens of an ended session of a legacy client are kept. */
const KEPT_ENDED = 30 * DAY
/** Rows of policy data that are kept, as in MAS: what was set before can be looked up. */
const KEPT_POLICY_DATA = 10
/** Seconds that a mail is kept which could not be sent: an operator has a week to mend that and try again. */
const KEPT_MAIL = 7 * DAY
/** Rows that one statement deletes. */
const BATCH = 500

/** What each job does. */
export const jobHandlers = (
  deps: Pick<
    Deps,
    | 'sql'
    | 'config'
    | 'clock'
    | 'random'
    | 'urls'
    | 'keys'
    | 'secrets'
    | 'clientFetch'
    | 'homeserver'
    | 'jobs'
    | 'mail'
    | 'translate'
    | 'log'
  >,
): JobHandlers => ({
  'backchannel-logout': (notice) => sendLogoutToken(deps, notice),
  'clean-up': () => cleanUp(deps),
  'recovery-mail': ({ recovery_id }) => sendRecoveryMails(deps, recovery_id),
  'end-inactive-sessions': () => endInactiveSessions(deps),
  'check-drift': async (progress) => {
    if (!canBeRepaired(deps.homeserver)) return
    const step = await checkDrift(deps, progress)
    if (!step.done) await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'check-drift', step.progress))
  },
  'send-mail': ({ mail_id }) => deps.mail.deliver(mail_id),
  'sync-devices': ({ user_id }) => syncDevices(deps, user_id),
  'provision-user': ({ user_id }) => provisionAndSync(deps, user_id),
  'provision-everyone': ({ after, all }) =>
    transact(deps.sql, async (tx) => {
      const users = await (all
        ? listPeopleToCheck(tx, after, deps.clock.now(), PAGE)
        : listUnprovisioned(tx, after, PAGE))
      for (const { id } of users) await deps.jobs.enqueue(tx, 'provision-user', { user_id: id })
      const last = users.length === PAGE ? users.at(-1) : undefined
      if (last) await deps.jobs.enqueue(tx, 'provision-everyone', { after: last.id, ...(all && { all }) })
    }),
  'deactivate-user': async ({ user_id, erase }) => {
    const [user] = await findUser(deps.sql, user_id)
    // Brought back meanwhile: a late run must not take the account away again.
    if (!user?.deactivated_at) return
    try {
      await deps.homeserver.deleteUser(user.username, erase)
    } catch (error) {
      // The homeserver never heard of this person: there is nothing to deactivate.
      if (!isUnknownUser(error)) throw error
    }
  },
})

/** The devices after the person (reference 10.1), unless they are new there and have none. */
async function provisionAndSync(
  deps: Pick<Deps, 'sql' | 'clock' | 'homeserver' | 'jobs' | 'log'>,
  userId: string,
): Promise<void> {
  const { created } = await provisionUser(deps, userId)
  if (created && (await listDevices(deps.sql, userId)).length === 0) return
  await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'sync-devices', { user_id: userId }))
}

/** Deletes what nobody needs any more, and what strangers can make us store. */
async function cleanUp(deps: Pick<Deps, 'sql' | 'clock' | 'log'>): Promise<void> {
  const now = deps.clock.now()
  const ago = (seconds: number) => addSeconds(now, -seconds)
  const { sql } = deps
  const deleted = {
    clients: await inBatches(() => deleteUnusedClients(sql, ago(UNUSED_CLIENT), ago(DAY), BATCH)),
    requests: await inBatches(() => deleteOldGrants(sql, ago(KEPT_REQUEST), BATCH)),
    device_requests: await inBatches(() => deleteOldDeviceGrants(sql, ago(KEPT_REQUEST), BATCH)),
    recoveries: await inBatches(() => deleteOldRecoveries(sql, ago(KEPT_REQUEST), BATCH)),
    verifications: await inBatches(() => deleteOldVerifications(sql, ago(KEPT_REQUEST), BATCH)),
    recovery_links: await inBatches(() => deleteOldTickets(sql, ago(KEPT_REQUEST), BATCH)),
    browsers: await inBatches(() => deleteOldBrowsers(sql, ago(KNOWN_LIFETIME), BATCH)),
    mails: await inBatches(() => deleteOldMails(sql, ago(KEPT_MAIL), BATCH)),
    legacy_logins: await inBatches(() => deleteOldCompatLogins(sql, ago(DAY), BATCH)),
    captchas: await inBatches(() => deleteOldCaptchas(sql, now, BATCH)),
    legacy_tokens: await inBatches(() => deleteEndedCompatTokens(sql, ago(KEPT_ENDED), BATCH)),
    sign_ups: await inBatches(() => deleteOldRegistrations(sql, ago(DAY), ago(KEPT_SIGN_UP), BATCH)),
  }
  await deleteExpiredJwts(sql, now)
  await deleteOldIdempotencyKeys(sql, ago(DAY))
  await deleteOldPolicyData(sql, KEPT_POLICY_DATA)
  deps.log.info('clean_up.done', deleted)
}

/** Deletes until a batch is not full; gives how many. */
async function inBatches(remove: () => PromiseLike<readonly unknown[]>): Promise<number> {
  for (let total = 0; ; ) {
    const { length } = await remove()
    total += length
    if (length < BATCH) return total
  }
}
