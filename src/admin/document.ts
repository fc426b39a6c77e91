import type { Deps } from '../deps.ts'
import { adminCors } from '../http/cors.ts'
import { publicJson } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { openApiDocument } from './openapi.ts'
import { OPERATIONS } from './operations.ts'

/** Seconds that a reader may keep the document. */
const MAX_AGE = 300

/** GET /api/spec.json: the OpenAPI document, for anybody; it tells what this server can do, not what it holds. */
export function documentRoutes(deps: Deps): Route[] {
  let document: Promise<object> | undefined
  return [
    {
      method: 'GET',
      path: '/api/spec.json',
      cors: adminCors,
      async handle() {
        document ??= openApiDocument(deps, OPERATIONS)
        return publicJson(await document, MAX_AGE)
      },
    },
  ]
}
