import type { Deps } from '../deps.ts'
import type { Route } from '../http/route.ts'
import { PROMETHEUS_TYPE, prometheusText } from './prometheus.ts'

/** GET /metrics: the figures of this process, with `--workers` of all of them, as Prometheus reads them. */
export const metricsRoutes = (deps: Pick<Deps, 'metrics'>): Route[] => [
  {
    method: 'GET',
    path: '/metrics',
    handle: async () =>
      new Response(prometheusText(await deps.metrics.read()), {
        headers: { 'content-type': PROMETHEUS_TYPE, 'cache-control': 'no-store' },
      }),
  },
]
