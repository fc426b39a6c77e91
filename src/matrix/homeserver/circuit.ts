import { type Circuit, createCircuit } from '../../lib/circuit.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../telemetry/log.ts'
import { HomeserverError } from './homeserver.ts'

/** The circuit of calls to the homeserver; fails with HomeserverError `unreachable` while it is open. */
export const homeserverCircuit = ({
  clock,
  log,
  onBack,
}: {
  clock: Clock
  log?: Pick<Log, 'warn' | 'info'> | undefined
  onBack?: (() => void) | undefined
}): Circuit =>
  createCircuit({
    clock,
    verdict: (error) => {
      if (isAbsence(error)) return 'absent'
      return error instanceof HomeserverError && error.status !== undefined ? 'present' : undefined
    },
    refuse: () =>
      new HomeserverError('unreachable', 'nothing was sent: the homeserver did not answer the last calls'),
    away: (error) => log?.warn('homeserver.away', { error }),
    back: () => {
      log?.info('homeserver.back')
      onBack?.()
    },
  })

/**
 * Whether a failed call says that the homeserver is away: no answer, or that of something before it. An error with a
 * Matrix code, a 500 too, is a homeserver that answers; a call that its caller gave up says nothing.
 */
function isAbsence(error: unknown): boolean {
  if (!(error instanceof HomeserverError) || error.kind !== 'unreachable') return false
  if (error.cause instanceof Error && error.cause.name === 'AbortError') return false
  return error.errcode === undefined
}
