import { addSeconds, type Clock } from '../../lib/clock.ts'
import type { Log } from '../../telemetry/log.ts'
import { HomeserverError } from './homeserver.ts'

/** Calls in a row without an answer after which the homeserver is taken to be away. */
const FAILURES = 3
/** Seconds for which nothing is asked then, before one call may try again. */
const REST = 5

/** Runs calls while the homeserver answers; while it does not, fails them at once. */
export interface Circuit {
  /** @throws HomeserverError `unreachable` without a call while the circuit is open; else what the call throws */
  run<T>(call: () => Promise<T>): Promise<T>
}

/**
 * Keeps pages fast while the homeserver is away: nobody waits for the deadline of a call that will not be answered.
 * After 3 calls in a row without an answer, calls fail at once for 5 seconds; then one goes through, and its outcome
 * decides for all. Each process finds out by itself; nothing has to be reset by hand.
 */
export function createCircuit({
  clock,
  log,
  onBack,
}: {
  clock: Clock
  log?: Pick<Log, 'warn' | 'info'> | undefined
  onBack?: (() => void) | undefined
}): Circuit {
  let failures = 0
  let openUntil: Date | undefined
  let probing = false

  const answered = () => {
    failures = 0
    if (openUntil) {
      log?.info('homeserver.back')
      onBack?.()
    }
    openUntil = undefined
  }
  const missed = (error: HomeserverError) => {
    failures += 1
    if (failures < FAILURES) return
    if (!openUntil) log?.warn('homeserver.away', { error })
    openUntil = addSeconds(clock.now(), REST)
  }

  return {
    async run(call) {
      const isProbe = openUntil !== undefined
      if (openUntil && (probing || clock.now() < openUntil))
        throw new HomeserverError(
          'unreachable',
          'nothing was sent: the homeserver did not answer the last calls',
        )
      if (isProbe) probing = true
      try {
        const result = await call()
        answered()
        return result
      } catch (error) {
        if (isAbsence(error)) missed(error)
        else if (error instanceof HomeserverError && error.status !== undefined) answered()
        throw error
      } finally {
        if (isProbe) probing = false
      }
    },
  }
}

/**
 * Whether a failed call says that the homeserver is away: no answer, or that of something before it. An error with a
 * Matrix code, a 500 too, is a homeserver that answers; a call that its caller gave up says nothing.
 */
function isAbsence(error: unknown): error is HomeserverError {
  if (!(error instanceof HomeserverError) || error.kind !== 'unreachable') return false
  if (error.cause instanceof Error && error.cause.name === 'AbortError') return false
  return error.errcode === undefined
}
