import {
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { RequestFacts } from '../lib/current-request.ts'
import { otlpAddress, otlpSender, RESOURCE } from './otlp.ts'
import type { Tracing, TracingSettings, TracingTools } from './tracing.ts'

/** `ExportResultCode.SUCCESS` of OpenTelemetry. What was lost is in the log already, and must stop nothing. */
const DONE = 0

/**
 * Traces with OpenTelemetry. Loaded only where they are wanted (`createTracing`). Names and attributes never hold what
 * people or apps sent: a request is its route, a query its text without values, a call its path without a query.
 */
export function startTracing(settings: TracingSettings, tools: TracingTools): Tracing {
  const exporter = exporterOf(settings, tools)
  const provider = new TracerProvider({
    resource: resourceFromAttributes(RESOURCE),
    // Never what a stranger's header wants: whoever calls would decide how much is kept.
    sampler: new TraceIdRatioBasedSampler(settings.sample_rate),
    spanProcessors: [
      settings.exporter === 'otlp'
        ? new BatchSpanProcessor({ exporter })
        : new SimpleSpanProcessor({ exporter }),
    ],
  })
  const tracer = provider.getTracer('latchkey')
  const under = (facts: RequestFacts | undefined): Context =>
    facts?.span ? trace.setSpan(ROOT_CONTEXT, facts.span as Span) : ROOT_CONTEXT

  return {
    async request(request, { method, path }, facts, run) {
      const span = tracer.startSpan(
        `${method} ${path}`,
        {
          kind: SpanKind.SERVER,
          links: linksOf(request.headers, settings.propagators),
          attributes: { 'http.request.method': method, 'http.route': path },
        },
        ROOT_CONTEXT,
      )
      facts.span = span
      try {
        const response = await run()
        span.setAttribute('http.response.status_code', response.status)
        if (response.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        if (facts.reference !== undefined) span.setAttribute('latchkey.reference', facts.reference)
        return response
      } finally {
        span.setAttribute('latchkey.queries', facts.queries)
        span.end()
      }
    },
    async call(input, init, facts, send) {
      const url = new URL(input instanceof Request ? input.url : input)
      const span = tracer.startSpan(
        `${init.method ?? 'GET'} ${withoutNames(url.pathname)}`,
        {
          kind: SpanKind.CLIENT,
          attributes: {
            'http.request.method': init.method ?? 'GET',
            'server.address': url.hostname,
            'url.path': withoutNames(url.pathname),
          },
        },
        under(facts),
      )
      const headers = new Headers(init.headers)
      if (settings.propagators.includes('tracecontext')) headers.set('traceparent', traceparentOf(span))
      try {
        const response = await send({ ...init, headers })
        span.setAttribute('http.response.status_code', response.status)
        if (response.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        return response
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR })
        throw error
      } finally {
        span.end()
      }
    },
    query(text, facts) {
      const statement = text().trim().replace(/\s+/g, ' ')
      const verb = /^\w+/.exec(statement)?.[0] ?? 'query'
      const span = tracer.startSpan(
        `db ${verb}`,
        { kind: SpanKind.CLIENT, attributes: { 'db.system.name': 'postgresql', 'db.query.text': statement } },
        under(facts),
      )
      return () => span.end()
    },
    part: (name, facts, run) => within(tracer.startSpan(name, {}, under(facts)), run),
    job(name, facts, run) {
      const span = tracer.startSpan(`job ${name}`, { attributes: { 'job.queue.name': name } }, ROOT_CONTEXT)
      facts.span = span
      return within(span, run)
    },
    stop: () => provider.shutdown(),
  }
}

/** Ends the span when `run` is done. */
async function within<T>(span: Span, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR })
    throw error
  } finally {
    span.end()
  }
}

function exporterOf(settings: TracingSettings, tools: TracingTools): SpanExporter {
  const send = tools.sink
    ? async (spans: ReadableSpan[]) => {
        tools.sink?.(spans)
        return true
      }
    : settings.exporter === 'otlp'
      ? otlpSpans(settings, tools)
      : async (spans: ReadableSpan[]) => {
          for (const span of spans) tools.log.info('trace.span', describe(span))
          return true
        }
  return {
    export: (spans, done) => void send(spans).then(() => done({ code: DONE })),
    shutdown: async () => {},
  }
}

function otlpSpans(settings: TracingSettings, tools: TracingTools) {
  const send = otlpSender(otlpAddress(settings.endpoint, 'traces'), tools)
  return (spans: ReadableSpan[]) => send(ProtobufTraceSerializer.serializeRequest(spans))
}

/** A path of the homeserver without the people and devices in it. */
const withoutNames = (path: string): string =>
  path
    .split('/')
    .map((part) => (/^[a-z\d_]*$/.test(part) ? part : '{}'))
    .join('/')

const describe = (span: ReadableSpan) => ({
  name: span.name,
  trace: span.spanContext().traceId,
  span: span.spanContext().spanId,
  parent: span.parentSpanContext?.spanId,
  ms: span.duration[0] * 1000 + span.duration[1] / 1e6,
  ...span.attributes,
})

/**
 * What came before, as a link and not as the parent: the header may be anybody's, and a parent decides where a trace
 * belongs and whether it is kept.
 */
function linksOf(headers: Headers, propagators: TracingSettings['propagators']): Link[] {
  const w3c = propagators.includes('tracecontext')
    ? /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}/.exec(headers.get('traceparent') ?? '')
    : null
  const jaeger = propagators.includes('jaeger')
    ? /^([\da-f]{1,32}):([\da-f]{1,16}):[\da-f]+:[\da-f]+$/.exec(headers.get('uber-trace-id') ?? '')
    : null
  const [, traceId, spanId] = w3c ?? jaeger ?? []
  if (traceId === undefined || spanId === undefined) return []
  return [
    {
      context: {
        traceId: traceId.padStart(32, '0'),
        spanId: spanId.padStart(16, '0'),
        traceFlags: 0,
        isRemote: true,
      },
    },
  ]
}

const traceparentOf = (span: Span): string => {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}
