/** Waits `ms` milliseconds of real time. */
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Tries again until `attempt` gives something, after pauses that grow from 20 ms to half a second; undefined after
 * `patience` milliseconds. For what another process holds: nobody's transaction or connection is held meanwhile.
 */
export async function poll<T>(
  patience: number,
  attempt: () => Promise<T | undefined>,
): Promise<T | undefined> {
  for (let waited = 0, pause = 20; ; waited += pause, pause = Math.min(pause * 2, 500)) {
    const found = await attempt()
    if (found !== undefined || waited >= patience) return found
    await sleep(pause)
  }
}

/** Runs `fn` again after each of the pauses (milliseconds) as long as it throws; the last error is thrown. */
export async function retrying<T>(pauses: readonly number[], fn: () => Promise<T>): Promise<T> {
  for (const pause of pauses)
    try {
      return await fn()
    } catch {
      await sleep(pause)
    }
  return fn()
}
