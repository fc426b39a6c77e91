/** Where the time comes from. Everything that depends on time takes a Clock, so a test can move it. */
export interface Clock {
  /** The current instant. */
  now(): Date
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => new Date() }

/** `date` moved by `seconds` (may be negative). */
export const addSeconds = (date: Date, seconds: number): Date => new Date(date.getTime() + seconds * 1000)

/** Whole seconds since the epoch, truncated: JWT claims (RFC 7519 section 2, NumericDate). */
export const epochSeconds = (date: Date): number => Math.floor(date.getTime() / 1000)

/** Milliseconds since some instant, which no change of the clock moves: only for how long something took. */
export const monotonic = (): number => performance.now()
