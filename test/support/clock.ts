import type { Clock } from '../../src/lib/clock.ts'

/** A clock that stands until it is moved. */
export interface TestClock extends Clock {
  advance(seconds: number): void
}

/** Starts at a fixed instant, so that ids and times of a failing test are the same every time. */
export function testClock(start = '2026-11-24T12:00:00Z'): TestClock {
  let now = new Date(start).getTime()
  return {
    now: () => new Date(now),
    advance: (seconds) => {
      now += seconds * 1000
    },
  }
}
