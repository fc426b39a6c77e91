import type { Clock } from '../lib/clock.ts'
import type { Log } from './log.ts'
import type { Family, Registry } from './metrics.ts'
import { type OtlpFetch, otlpAddress, otlpSender } from './otlp.ts'

/** `telemetry.metrics` of the configuration. */
export interface MetricsSettings {
  readonly exporter: 'none' | 'stdout' | 'otlp' | 'prometheus'
  readonly endpoint?: string | undefined
}

/** Milliseconds between two exports. */
const INTERVAL = 60_000

/**
 * Sends the figures once a minute, where the configuration says so; the last time when the result is called. For
 * Prometheus, which asks for them, there is nothing to do.
 */
export async function exportMetrics(
  settings: MetricsSettings,
  tools: { registry: Registry; clock: Clock; log: Log; fetch: OtlpFetch },
): Promise<() => Promise<void>> {
  const send = await senderOf(settings, tools)
  if (!send) return async () => {}
  const once = async () => send(await tools.registry.read())
  const timer = setInterval(() => void once(), INTERVAL)
  return async () => {
    clearInterval(timer)
    await once()
  }
}

async function senderOf(
  { exporter, endpoint }: MetricsSettings,
  { clock, log, fetch }: { clock: Clock; log: Log; fetch: OtlpFetch },
): Promise<((families: Family[]) => Promise<unknown>) | undefined> {
  if (exporter === 'stdout')
    return async (families) => {
      for (const { name, labels, points } of families)
        for (const { values, value } of points)
          log.info('metric', {
            name,
            value,
            ...Object.fromEntries(labels.map((label, at) => [label, values[at]])),
          })
    }
  if (exporter !== 'otlp') return undefined
  const { metricsMessage } = await import('./otlp-metrics.ts')
  const send = otlpSender(otlpAddress(endpoint, 'metrics'), { fetch, log })
  const begun = clock.now()
  return (families) => send(metricsMessage(families, begun, clock.now()))
}
