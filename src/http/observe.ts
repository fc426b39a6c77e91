import type { Deps } from '../deps.ts'
import { monotonic } from '../lib/clock.ts'
import { currentFacts, type RequestFacts, withFacts } from '../lib/current-request.ts'
import { requesterOf } from './requester.ts'
import type { PathParams, Route } from './route.ts'

type Answer = (request: Request, params: PathParams) => Promise<Response>

/** What programs ask all the time: in the log only when it went wrong, unless the configuration wants every request. */
const ROUTINE = new Set([
  '/oauth2/introspect',
  '/health',
  '/ready',
  '/metrics',
  '/oauth2/keys.json',
  '/.well-known/openid-configuration',
  '/assets/{file}',
])

/**
 * An endpoint with its figures, its line in the log and its trace. Of a routine request that goes well there are the
 * figures alone: introspection is the hot path.
 */
export function observed(deps: Deps, listener: string, { method, path }: Route, answer: Answer): Answer {
  const { metrics, tracing, config } = deps
  const mode = config.telemetry.request_log
  const routine = ROUTINE.has(path)
  const noted = mode === 'all' || (mode === 'usual' && !routine)
  const measured = async (request: Request, params: PathParams, facts?: RequestFacts): Promise<Response> => {
    const begin = monotonic()
    metrics.requestsUnderWay.change(1)
    let status = 500
    try {
      const response = await answer(request, params)
      status = response.status
      return response
    } finally {
      metrics.requestsUnderWay.change(-1)
      const took = monotonic() - begin
      metrics.requests.record(took, method, path, String(status), listener)
      if (noted || (status >= 500 && mode !== 'none')) logRequest(deps, request, path, status, took, facts)
    }
  }
  if (tracing)
    return (request, params) => {
      const facts: RequestFacts = { queries: 0 }
      return withFacts(facts, () =>
        tracing.request(request, { method, path }, facts, () => measured(request, params, facts)),
      )
    }
  if (!noted) return measured
  return (request, params) => {
    const facts: RequestFacts = { queries: 0 }
    return withFacts(facts, () => measured(request, params, facts))
  }
}

/** Who, from where, what, how long, how many queries. Of the address the route alone: paths and queries hold secrets. */
function logRequest(
  deps: Deps,
  request: Request,
  route: string,
  status: number,
  took: number,
  facts: RequestFacts | undefined,
): void {
  const { ip, userAgent } = requesterOf(deps, request)
  deps.log[status >= 500 ? 'error' : 'info']('request', {
    method: request.method,
    route,
    status,
    ms: Math.round(took * 10) / 10,
    ip,
    user_agent: userAgent,
    ...(facts && { queries: facts.queries }),
    ...(facts?.who !== undefined && { who: facts.who }),
    ...(facts?.reference !== undefined && { reference: facts.reference }),
  })
}

/** Notes the reference that people see, for the line of the request. */
export function noteReference(reference: string): string {
  const facts = currentFacts()
  if (facts) facts.reference = reference
  return reference
}
