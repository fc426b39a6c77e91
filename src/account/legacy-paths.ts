import type { Deps } from '../deps.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'

/** Addresses of MAS's account pages that people kept, or apps made themselves, and where they lead here. */
const MOVED: [path: string, to: (params: PathParams) => string][] = [
  ['/account/sessions/browsers', () => 'sessions?kind=browser'],
  [
    '/account/devices/{id}',
    ({ id = '' }) => `?action=org.matrix.device_view&device_id=${encodeURIComponent(id)}`,
  ],
  ['/account/clients/{id}', () => 'apps'],
  ['/account/emails/{id}/in-use', () => 'emails'],
  ['/account/password/change/success', () => 'password/change'],
]

export const legacyAccountRoutes = (deps: Deps): Route[] =>
  MOVED.map(([path, to]) => ({
    method: 'GET',
    path,
    handle: (_request, params) => redirect(deps.urls.path(`/account/${to(params)}`)),
  }))
