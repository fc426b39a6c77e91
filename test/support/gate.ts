import type { Fetch } from '../../src/matrix/homeserver/homeserver.ts'

/** Holds back the calls of one endpoint on their way to the homeserver. */
export interface Gate {
  fetch: Fetch
  /** Calls that were held back so far. */
  held(): number
  /** Resolves when the next call is held back. */
  reached(): Promise<void>
  /** Lets held calls on, and those to come. */
  open(): void
  close(): void
}

/** A gate before `fetch` for the endpoint `name` (`'upsert_device'`), open at first. */
export function createGate(fetch: Fetch, name: string): Gate {
  let gate = Promise.withResolvers<void>()
  let arrival = Promise.withResolvers<void>()
  let held = 0
  gate.resolve()
  return {
    fetch: async (input, init) => {
      const request = new Request(input, init)
      if (new URL(request.url).pathname.endsWith(`/${name}`)) {
        held++
        arrival.resolve()
        await gate.promise
      }
      return fetch(request)
    },
    held: () => held,
    reached: () => arrival.promise,
    open: () => gate.resolve(),
    close: () => {
      gate = Promise.withResolvers<void>()
      arrival = Promise.withResolvers<void>()
    },
  }
}
