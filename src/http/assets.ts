import type { Deps } from '../deps.ts'
import { NotFound } from './errors.ts'
import type { Route } from './route.ts'

/** GET /assets/{file}: static files, for ever when asked for by their content hash (reference 1.7). */
export const assetRoutes = (deps: Pick<Deps, 'assets'>): Route[] => [
  {
    method: 'GET',
    path: '/assets/{file}',
    handle: (_request, { file = '' }) => {
      const asset = deps.assets.get(file)
      if (!asset) throw new NotFound()
      return new Response(asset.bytes, {
        headers: {
          'content-type': asset.contentType,
          'cache-control': asset.immutable ? 'public, max-age=31536000, immutable' : 'public, max-age=300',
        },
      })
    },
  },
]
