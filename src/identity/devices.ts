import { listDevices } from '../../sql/devices.ts'
import { findLease, releaseLease, takeLease } from '../../sql/leases.ts'
import { findProvisioning, markProvisioned } from '../../sql/provisioning.ts'
import { findUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import { addSeconds } from '../lib/clock.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { poll } from '../lib/waiting.ts'
import { HomeserverError, type ProvisionRequest } from '../matrix/homeserver/homeserver.ts'

type Needs = Pick<Deps, 'sql' | 'clock' | 'homeserver' | 'log'>

/** Seconds that a lease lasts: longer than any call made under it, so that only a dead holder runs out. */
const LEASE = 30
/** Milliseconds that one call under a lease may take. */
export const CALL_TIMEOUT = 10_000
/** Milliseconds that a request waits for somebody else's lease. */
const PATIENCE = 12_000

/** Proof of holding a user's lease; `assertHeld` before each call that a stale holder must not make. */
interface Lease {
  /** @throws Unavailable when the lease is lost, or too short for another call */
  assertHeld(): Promise<void>
}

/**
 * Runs `fn` while nobody else talks to the homeserver about this person's devices (decision 9). No transaction is
 * open meanwhile.
 *
 * @throws Unavailable when another holder does not finish in time
 */
export async function withUserLease<T>(
  deps: Needs,
  userId: string,
  fn: (lease: Lease) => Promise<T>,
): Promise<T> {
  // Nobody is there to be talked to.
  if (deps.homeserver.kind === 'standalone') return fn({ assertHeld: async () => {} })
  const generation = await waitForLease(deps, userId)
  const lease: Lease = {
    async assertHeld() {
      const until = addSeconds(deps.clock.now(), CALL_TIMEOUT / 1000)
      const [held] = await findLease(deps.sql, userId, generation, until)
      if (!held) throw new Unavailable('homeserver', { cause: new Error('the lease of the user was lost') })
    },
  }
  try {
    return await fn(lease)
  } finally {
    // A lease that cannot be released runs out by itself; the error of `fn` matters more.
    await releaseLease(deps.sql, userId, generation, deps.clock.now()).catch((error: unknown) =>
      deps.log.warn('lease.release_failed', { user_id: userId, error }),
    )
  }
}

async function waitForLease(deps: Needs, userId: string): Promise<string> {
  const taken = await poll(PATIENCE, async () => {
    const now = deps.clock.now()
    const [lease] = await takeLease(deps.sql, userId, now, addSeconds(now, LEASE))
    return lease
  })
  if (!taken) throw new Unavailable('homeserver', { cause: new Error('the lease of the user is taken') })
  return taken.generation
}

/**
 * Tells the homeserver the complete set of a person's devices. Reads the set under the lease, so that a session which
 * was committed before is never left out (edge 38).
 *
 * @throws HomeserverError, Unavailable: the job tries again
 */
export async function syncDevices(deps: Needs, userId: string): Promise<void> {
  const [user] = await findUser(deps.sql, userId)
  if (!user || user.deactivated_at) return
  await withUserLease(deps, userId, async (lease) => {
    const devices = await listDevices(deps.sql, userId)
    await lease.assertHeld()
    const ids = devices.map((device) => device.device_id)
    await deps.homeserver.syncDevices(user.username, ids, { timeoutMs: CALL_TIMEOUT })
    deps.log.info('devices.synced', { user_id: userId, devices: ids.length })
  })
}

/**
 * Makes a device exist at the homeserver before its token is given out (edge 36).
 *
 * @throws Unavailable
 */
export async function addDevice(
  deps: Needs,
  user: { id: string; username: string },
  device: { id: string; name: string | undefined },
): Promise<void> {
  // Nothing comes between taking the lease and the call, so that it is held.
  await withUserLease(deps, user.id, () =>
    deps.homeserver.upsertDevice(user.username, device.id, device.name, { timeoutMs: CALL_TIMEOUT }),
  ).catch(rethrow)
}

/** A failure of the homeserver is an outage to whoever waits for it; any other error stays what it is. */
export function rethrow(error: unknown): never {
  throw error instanceof HomeserverError ? new Unavailable('homeserver', { cause: error }) : error
}

/**
 * Makes sure that the homeserver has heard of a person before a code is given out (edge 37).
 *
 * @throws Unavailable
 */
export async function ensureProvisioned(deps: Needs, userId: string, more: NewPerson = {}): Promise<void> {
  const [user] = await findUser(deps.sql, userId)
  if (!user?.provisioned_at) await provisionUser(deps, userId, more).catch(rethrow)
}

/** What the homeserver alone keeps of a person: said once, when the account is made. */
type NewPerson = Pick<ProvisionRequest, 'avatarUrl'>

/**
 * Makes the homeserver know a person as we do: active, name, lock, the complete list of addresses. `created` is true
 * when it had never heard of them. Says nothing about an account that is deactivated, or
 * waits for approval: the homeserver hears of it when it is approved.
 *
 * @throws HomeserverError
 */
export async function provisionUser(
  deps: Needs,
  userId: string,
  more: NewPerson = {},
): Promise<{ created: boolean }> {
  const [user] = await findProvisioning(deps.sql, userId)
  if (!user || user.deactivated_at || user.approval_requested_at) return { created: false }
  if (user.reactivated_at) await reactivateThere(deps, user.username)
  const answer = await deps.homeserver.provisionUser(
    {
      localpart: user.username,
      sub: ulidFromUuid(userId),
      emails: user.emails,
      locked: user.locked_at !== null,
      // Only the first time: later the person may have changed it from a Matrix client.
      ...(user.provisioned_at === null && user.display_name !== null && { displayName: user.display_name }),
      ...more,
    },
    { timeoutMs: CALL_TIMEOUT },
  )
  await markProvisioned(deps.sql, userId, deps.clock.now(), user.reactivated_at)
  return answer
}

/** One that it never heard of is made by what follows. */
async function reactivateThere(deps: Needs, username: string): Promise<void> {
  try {
    await deps.homeserver.reactivateUser(username, { timeoutMs: CALL_TIMEOUT })
  } catch (error) {
    if (!isUnknownUser(error)) throw error
  }
}

/** Whether the homeserver said that it has no such user. */
export const isUnknownUser = (error: unknown): boolean =>
  error instanceof HomeserverError && error.kind === 'rejected' && error.status === 404
