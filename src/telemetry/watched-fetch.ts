import { monotonic } from '../lib/clock.ts'
import { currentFacts } from '../lib/current-request.ts'
import type { Metrics } from './instruments.ts'
import type { Tracing } from './tracing.ts'

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** A `fetch` to the homeserver with its figures, and with spans where requests are traced. */
export function watchedFetch(
  fetch: Fetch,
  { calls, callsUnderWay }: Metrics,
  tracing: Tracing | undefined,
): Fetch {
  const measured: Fetch = async (input, init) => {
    const begin = monotonic()
    let status = 'none'
    callsUnderWay.change(1)
    try {
      const response = await fetch(input, init)
      status = String(response.status)
      return response
    } finally {
      callsUnderWay.change(-1)
      const { host } = new URL(input instanceof Request ? input.url : input)
      calls.record(monotonic() - begin, init?.method ?? 'GET', host, status)
    }
  }
  if (!tracing) return measured
  return (input, init) => tracing.call(input, init ?? {}, currentFacts(), (given) => measured(input, given))
}
