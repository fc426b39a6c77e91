import { AsyncLocalStorage } from 'node:async_hooks'

/** What the log and the traces want to know of a request, noted on its way by whoever finds out. */
export interface RequestFacts {
  queries: number
  /** Who asked: a kind and an id, such as `user 01K…` or `homeserver`. */
  who?: string
  /** What people see on an error page. */
  reference?: string
  /** Of a trace: what a call to another server, or a query, is a part of. */
  span?: unknown
}

/**
 * The request that runs. Ambient, which nothing else here is: what it holds is for watching alone, and nothing may be
 * decided by it. Passing it through every function for a number in a log line would hide what they really need.
 */
const current = new AsyncLocalStorage<RequestFacts>()

/** Runs `fn` with `facts` to note things in. */
export const withFacts = <T>(facts: RequestFacts, fn: () => T): T => current.run(facts, fn)

/** The facts of the request that runs; undefined outside of one, and where nobody wants to know. */
export const currentFacts = (): RequestFacts | undefined => current.getStore()

/** Notes who asks. */
export function noteWho(who: string): void {
  const facts = current.getStore()
  if (facts) facts.who = who
}
