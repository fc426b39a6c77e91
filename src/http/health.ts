import { pingDatabase } from '../../sql/ping.ts'
import type { Deps } from '../deps.ts'
import type { Route } from './route.ts'

/** GET /health: `ok` when the database answers; an outage is the boundary's 503. */
export const healthRoutes = (deps: Pick<Deps, 'sql'>): Route[] => [
  {
    method: 'GET',
    path: '/health',
    handle: async () => {
      await pingDatabase(deps.sql)
      return new Response('ok', { headers: { 'content-type': 'text/plain', 'cache-control': 'no-store' } })
    },
  },
]
