import { addSeconds, type Clock } from './clock.ts'

/** Calls in a row without an answer after which the other side is taken to be away. */
const FAILURES = 3
/** Seconds for which nothing is asked then, before one call may try again. */
const REST = 5

/** Runs calls while the other side answers; while it does not, fails them at once. */
export interface Circuit {
  /** @throws what `refuse` makes, without a call, while the circuit is open; else what the call throws */
  run<T>(call: () => Promise<T>): Promise<T>
}

/**
 * Keeps pages fast while a server that we need is away: nobody waits for the deadline of a call that will not be answered.
 * After 3 calls in a row without an answer, calls fail at once for 5 seconds; then one goes through, and its outcome
 * decides for all. Each process finds out by itself; nothing has to be reset by hand.
 */
export function createCircuit({
  clock,
  verdict,
  refuse,
  away,
  back,
}: {
  clock: Clock
  /** What a failed call says of the other side; undefined when nothing. */
  verdict(error: unknown): 'absent' | 'present' | undefined
  /** The error of a call that is not made. */
  refuse(): Error
  /** It is taken to be away from now on. */
  away?: ((error: unknown) => void) | undefined
  /** It answers again. */
  back?: (() => void) | undefined
}): Circuit {
  let failures = 0
  let openUntil: Date | undefined
  let probing = false

  const answered = () => {
    failures = 0
    if (openUntil) back?.()
    openUntil = undefined
  }
  const missed = (error: unknown) => {
    failures += 1
    if (failures < FAILURES) return
    if (!openUntil) away?.(error)
    openUntil = addSeconds(clock.now(), REST)
  }

  return {
    async run(call) {
      const isProbe = openUntil !== undefined
      if (openUntil && (probing || clock.now() < openUntil)) throw refuse()
      if (isProbe) probing = true
      try {
        const result = await call()
        answered()
        return result
      } catch (error) {
        const said = verdict(error)
        if (said === 'absent') missed(error)
        else if (said === 'present') answered()
        throw error
      } finally {
        if (isProbe) probing = false
      }
    },
  }
}
