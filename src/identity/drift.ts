import { finishDeviceSessions, listDevices } from '../../sql/devices.ts'
import { type CheckedPersonRow, listPeopleToCheck, markUnprovisioned } from '../../sql/provisioning.ts'
import type { Deps } from '../deps.ts'
import { addSeconds } from '../lib/clock.ts'
import { transact } from '../lib/transact.ts'
import { sleep } from '../lib/waiting.ts'
import { type Homeserver, HomeserverError } from '../matrix/homeserver/homeserver.ts'
import { CALL_TIMEOUT, withUserLease } from './devices.ts'
import { recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'

/** People of one step, and seconds after which it ends early: a job that takes longer would be begun twice. */
const PAGE = 100
const STEP = 60
/** Milliseconds of rest after each person: the homeserver has other things to do. */
const REST = 20
/** Seconds for which a deactivation is looked after: its job tries for hours, an outage may last longer. */
const LEAVERS = 30 * 24 * 3600
/** Seconds for which the device of a new session is not missed: its sign-in may be on the way. */
const SETTLED = 10 * 60
/** Devices that one night may take away: more than that is no deletion, but a homeserver that lost its data. */
const MOST_DEVICES = 50

const NOTHING = {
  people: 0,
  /** Whom the homeserver had not heard of, or not any more. */
  unknown_there: 0,
  /** Deactivated there and not here: left to the operator. */
  deactivated_there: 0,
  /** Deactivated here and not there. */
  active_there: 0,
  /** Devices that were deleted there: their sessions ended here. */
  devices_gone: 0,
  /** Devices that were missing there and were made again. */
  devices_restored: 0,
  /** People who could not be checked. */
  failed: 0,
}

/** What a night found so far. */
export type DriftFound = typeof NOTHING

/** Where the nightly check is; nothing at its beginning. */
export interface DriftProgress {
  /** The last person who was checked. */
  after?: string
  found?: DriftFound
}

type Needs = SecurityLogNeeds & Pick<Deps, 'sql' | 'homeserver' | 'log'>

/** Whether there is a homeserver, and we may change it. */
export const canBeRepaired = ({ kind }: Pick<Homeserver, 'kind'>): boolean =>
  kind !== 'standalone' && kind !== 'synapse_read_only'

/**
 * One step of the nightly check: compares people with the homeserver and repairs what differs. Gives where to go on;
 * at the end (`done`) the counts are logged as `drift.checked`. Only for one that `canBeRepaired`.
 *
 * @throws HomeserverError when the homeserver is away: the job begins the step again later
 */
export async function checkDrift(
  deps: Needs,
  progress: DriftProgress,
): Promise<{ done: boolean; progress: DriftProgress }> {
  const begin = deps.clock.now()
  const found = { ...NOTHING, ...progress.found }
  const people = await listPeopleToCheck(deps.sql, progress.after ?? null, addSeconds(begin, -LEAVERS), PAGE)
  for (const person of people) {
    await checkPerson(deps, person, found).catch((error: unknown) => {
      if (error instanceof HomeserverError && error.kind !== 'rejected') throw error
      found.failed += 1
      deps.log.warn('drift.person_failed', { user_id: person.id, error })
    })
    found.people += 1
    if (addSeconds(begin, STEP) < deps.clock.now())
      return { done: false, progress: { after: person.id, found } }
    await sleep(REST)
  }
  const last = people.length === PAGE ? people.at(-1) : undefined
  if (last) return { done: false, progress: { after: last.id, found } }
  deps.log.info('drift.checked', found)
  return { done: true, progress: { found } }
}

async function checkPerson(deps: Needs, person: CheckedPersonRow, found: DriftFound): Promise<void> {
  const there = await deps.homeserver.queryUser(person.username, { timeoutMs: CALL_TIMEOUT })
  if (person.deactivated_at) {
    if (!there || there.deactivated) return
    found.active_there += 1
    const job = { user_id: person.id, erase: person.erased_at !== null }
    return transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'deactivate-user', job))
  }
  if (!there || !person.provisioned_at) {
    found.unknown_there += 1
    return announce(deps, person)
  }
  if (there.deactivated) {
    // On purpose, by somebody with the right to it: bringing them back by ourselves would be worse than a difference.
    found.deactivated_there += 1
    deps.log.warn('drift.deactivated_there', { user_id: person.id })
    return
  }
  // Whether the homeserver has the lock cannot be asked; telling it again costs one call for few people.
  if (person.locked_at)
    await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'provision-user', { user_id: person.id }))
  await checkDevices(deps, person, found)
}

/** Somebody whom the homeserver lost is told as a new person, with the devices of the sessions that go on. */
const announce = (deps: Needs, person: CheckedPersonRow): Promise<void> =>
  transact(deps.sql, async (tx) => {
    await markUnprovisioned(tx, person.id)
    await deps.jobs.enqueue(tx, 'provision-user', { user_id: person.id })
  })

/**
 * A device that we have and the homeserver does not was deleted there: its app is refused by the homeserver and signed
 * out by itself, and made anew it would be one without keys. So its sessions end. The API lists no devices; making one
 * tells whether it was there. One that the homeserver has and we do not goes with the complete list at the end.
 */
const checkDevices = (deps: Needs, person: CheckedPersonRow, found: DriftFound): Promise<void> =>
  withUserLease(deps, person.id, async (lease) => {
    const limits = { timeoutMs: CALL_TIMEOUT }
    const settled = addSeconds(deps.clock.now(), -SETTLED)
    const gone: string[] = []
    for (const { device_id, since } of await listDevices(deps.sql, person.id)) {
      if (since > settled) continue
      await lease.assertHeld()
      const { created } = await deps.homeserver.upsertDevice(person.username, device_id, undefined, limits)
      if (created) gone.push(device_id)
    }
    const ending = gone.splice(0, Math.max(0, MOST_DEVICES - found.devices_gone))
    found.devices_restored += gone.length
    found.devices_gone += ending.length
    if (ending.length > 0) await endDevices(deps, person.id, ending)
    const devices = (await listDevices(deps.sql, person.id)).map(({ device_id }) => device_id)
    await lease.assertHeld()
    await deps.homeserver.syncDevices(person.username, devices, limits)
  })

const endDevices = (deps: Needs, userId: string, deviceIds: readonly string[]): Promise<void> =>
  transact(deps.sql, async (tx) => {
    for (const deviceId of deviceIds) {
      const ended = await finishDeviceSessions(tx, userId, deviceId, null, deps.clock.now())
      await recordSecurityEvent(deps, tx, {
        userId,
        kind: 'session_ended',
        actor: 'system',
        details: { device_id: deviceId },
      })
      deps.log.warn('drift.device_gone', { user_id: userId, device_id: deviceId, sessions: ended.length })
    }
  })
