import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { RequestFacts } from '../lib/current-request.ts'
import type { Log } from './log.ts'
import type { OtlpFetch } from './otlp.ts'

/** Traces: what a request, a job and their parts took. Set only where the configuration wants them. */
export interface Tracing {
  /** A request, by its route; `facts.span` is what its parts hang from. */
  request(
    request: Request,
    route: { method: string; path: string },
    facts: RequestFacts,
    run: () => Promise<Response>,
  ): Promise<Response>
  /** A call to the homeserver, which is told the trace if the configuration says so. */
  call(
    input: string | URL | Request,
    init: RequestInit,
    facts: RequestFacts | undefined,
    send: (init: RequestInit) => Promise<Response>,
  ): Promise<Response>
  /** A query, without its values; call what it gives when it is over. */
  query(text: () => string, facts: RequestFacts): () => void
  /** Something of ours that takes long: a password, the policy, a mail. */
  part<T>(name: string, facts: RequestFacts | undefined, run: () => Promise<T>): Promise<T>
  job<T>(name: string, facts: RequestFacts, run: () => Promise<T>): Promise<T>
  /** Sends what was not sent yet. */
  stop(): Promise<void>
}

/** `telemetry.tracing` of the configuration. */
export interface TracingSettings {
  readonly exporter: 'none' | 'stdout' | 'otlp'
  readonly endpoint?: string | undefined
  readonly propagators: readonly ('tracecontext' | 'baggage' | 'jaeger')[]
  readonly sample_rate: number
}

export interface TracingTools {
  log: Log
  fetch: OtlpFetch
  /** Where spans go in tests. */
  sink?: (spans: readonly ReadableSpan[]) => void
}

/** Traces as the configuration wants them; undefined for none, and then nothing of OpenTelemetry is loaded. */
export async function createTracing(
  settings: TracingSettings,
  tools: TracingTools,
): Promise<Tracing | undefined> {
  if (settings.exporter === 'none') return undefined
  const { startTracing } = await import('./spans.ts')
  return startTracing(settings, tools)
}
