import type { Deps } from '../deps.ts'
import { readiness } from './ready.ts'
import { json } from './reply.ts'
import type { Route } from './route.ts'

/**
 * GET /health: `ok` as long as this process answers. It asks nobody: whoever restarts what is not healthy would restart
 * every process at each outage of the database, which no restart mends. GET /ready asks.
 */
export const healthRoutes = (deps: Deps): Route[] => {
  const ready = readiness(deps)
  return [
    {
      method: 'GET',
      path: '/health',
      handle: () =>
        new Response('ok', { headers: { 'content-type': 'text/plain', 'cache-control': 'no-store' } }),
    },
    {
      method: 'GET',
      path: '/ready',
      handle: async () => {
        const state = await ready()
        return json(state, state.ready ? 200 : 503, state.ready ? {} : { 'retry-after': '5' })
      },
    },
  ]
}
