import type { HrTime } from '@opentelemetry/api'
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { MetricData, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { BOUNDS, type Family, type Point } from './metrics.ts'
import { RESOURCE } from './otlp.ts'

/** Of OpenTelemetry's enumerations, which would load the whole SDK: cumulative figures, kinds of points, doubles. */
const CUMULATIVE = 1
const [HISTOGRAM, GAUGE, SUM] = [0, 2, 3]
const DOUBLE = 1

/** The figures since `begun` as a message of OTLP. */
export function metricsMessage(families: readonly Family[], begun: Date, now: Date): Uint8Array | undefined {
  const times = { startTime: hrTime(begun), endTime: hrTime(now) }
  const resourceMetrics: ResourceMetrics = {
    resource: resourceFromAttributes(RESOURCE),
    scopeMetrics: [
      {
        scope: { name: 'latchkey' },
        metrics: families.filter(({ points }) => points.length > 0).map((family) => metricOf(family, times)),
      },
    ],
  }
  return ProtobufMetricsSerializer.serializeRequest(resourceMetrics)
}

function metricOf(family: Family, times: { startTime: HrTime; endTime: HrTime }): MetricData {
  const { name, help, unit, kind, labels, points } = family
  const point = <T>({ values }: Point, value: T) => ({
    ...times,
    attributes: Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ''])),
    value,
  })
  return {
    descriptor: { name, description: help, unit, valueType: DOUBLE },
    aggregationTemporality: CUMULATIVE,
    ...(kind === 'histogram'
      ? { dataPointType: HISTOGRAM, dataPoints: points.map((one) => point(one, histogramOf(one))) }
      : kind === 'counter'
        ? { dataPointType: SUM, isMonotonic: true, dataPoints: points.map((one) => point(one, one.value)) }
        : { dataPointType: GAUGE, dataPoints: points.map((one) => point(one, one.value)) }),
  } as MetricData
}

const histogramOf = ({ value, counts = [] }: Point) => ({
  buckets: { boundaries: [...BOUNDS], counts: [...counts] },
  sum: value,
  count: counts.reduce((total, count) => total + count, 0),
})

const hrTime = (date: Date): HrTime => [Math.floor(date.getTime() / 1000), (date.getTime() % 1000) * 1e6]
