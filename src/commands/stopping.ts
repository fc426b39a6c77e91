/** Settles after `ms`, and does not keep the process alive for it. */
export const expired = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })

/** Settles with `work`, or after `ms`: a stop goes on whether or not a part of it hangs. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, expired(ms)])
}

/** Settles when `signal` aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** Waits `ms`, or until `signal` aborts. Leaves nothing on the signal: it is waited on for as long as a server runs. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const over = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', over)
      resolve()
    }
    const timer = setTimeout(over, ms)
    signal.addEventListener('abort', over)
  })
