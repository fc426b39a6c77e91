import { monotonic } from '../lib/clock.ts'
import { messageOf } from '../lib/thrown.ts'
import { isAlive, type Postmaster } from './postmaster.ts'

/** Milliseconds between two looks at the server. */
const LOOK = 1_000
/** Milliseconds before a server that ended is started again; doubled with every end that follows soon. */
const PAUSE = { first: 500, most: 30_000 }
/** Milliseconds after which a server counts as one that works. */
const WORKS = 60_000

/** A server that is started again when it ends without having been told to. */
export interface Supervised {
  /** The server that runs now, or ran last. */
  current(): Postmaster
  /** Ends the watch; the server goes on. Settles when no start is under way any more. */
  release(): Promise<void>
}

/**
 * Watches a server: one that a person or the kernel ends (out of memory, a full disk) must not leave a Latchkey without
 * its database for good. `restart` starts it where it was, so that connections find it again. Looks at the process and does
 * not wait for it: a server that was adopted is no child of ours.
 */
export function superviseServer(
  first: Postmaster,
  options: { restart: () => Promise<Postmaster>; log: (line: string) => void },
): Supervised {
  const { restart, log } = options
  let current = first
  let begun = monotonic()
  let wait = PAUSE.first
  let released = false
  let waiting = Promise.withResolvers<void>()

  const pause = async (ms: number): Promise<void> => {
    const timer = setTimeout(() => waiting.resolve(), ms)
    // The process lives for its listeners, not for this watch.
    timer.unref()
    await waiting.promise
    clearTimeout(timer)
    if (!released) waiting = Promise.withResolvers()
  }
  const watch = async (): Promise<void> => {
    for (;;) {
      await pause(LOOK)
      if (released) return
      if (await isAlive(current.pid)) continue
      if (monotonic() - begun > WORKS) wait = PAUSE.first
      log('The embedded PostgreSQL has ended by itself; starting it again…')
      await pause(wait)
      if (released) return
      wait = Math.min(wait * 2, PAUSE.most)
      try {
        current = await restart()
        begun = monotonic()
        log('The embedded PostgreSQL runs again.')
      } catch (error) {
        log(messageOf(error))
      }
    }
  }
  const watching = watch()
  return {
    current: () => current,
    release: () => {
      released = true
      waiting.resolve()
      return watching
    },
  }
}
