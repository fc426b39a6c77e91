/**
 * Runs at most `running` tasks at once and keeps at most `waiting` more, first come first served. Beyond that the
 * returned function rejects with `overflow()` at once, so that load shows as an error and not as endless delay.
 */
export function createQueue(limits: { running: number; waiting: number }, overflow: () => Error) {
  const line: (() => void)[] = []
  let running = 0

  return async function enqueue<T>(task: () => Promise<T>): Promise<T> {
    if (running < limits.running) running++
    else if (line.length >= limits.waiting) throw overflow()
    // A finished task hands its place over, so `running` stays as it is and nobody overtakes the line.
    else await new Promise<void>((resolve) => line.push(resolve))
    try {
      return await task()
    } finally {
      const next = line.shift()
      if (next) next()
      else running--
    }
  }
}
