import type { CorsRule } from './cors.ts'

/** Values of the `{name}` segments of a path. */
export type PathParams = Record<string, string>

/**
 * One endpoint: a method, a path and a plain function from Request to Response. Elysia only routes to it, so that a
 * move to another version, or another framework, touches `src/app.ts` alone.
 */
export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `/consent/{id}`; always from the root, the deployment's prefix is added by `createApp`. */
  path: string
  handle(request: Request, params: PathParams): Response | Promise<Response>
  /** Set for what web clients call from other origins. */
  cors?: CorsRule
}
