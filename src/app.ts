import { type AnyElysia, Elysia } from 'elysia'
import { accountRoutes } from './account/account.ts'
import { accountAppsRoutes } from './account/apps.ts'
import { accountConfirmRoutes } from './account/confirm.ts'
import { accountDataRoutes } from './account/data.ts'
import { accountDeactivateRoutes } from './account/deactivate.ts'
import { accountDeactivateUndoRoutes } from './account/deactivate-undo.ts'
import { accountEmailsRoutes } from './account/emails.ts'
import { endSessionsRoutes } from './account/end-sessions.ts'
import { legacyAccountRoutes } from './account/legacy-paths.ts'
import { accountLinkedRoutes } from './account/linked.ts'
import { accountPasswordRoutes } from './account/password.ts'
import { accountPictureRoutes } from './account/picture.ts'
import { accountPlanRoutes } from './account/plan.ts'
import { accountProfileRoutes } from './account/profile.ts'
import { accountResetCrossSigningRoutes } from './account/reset-cross-signing.ts'
import { accountSecurityRoutes } from './account/security.ts'
import { accountSessionRoutes } from './account/session.ts'
import { accountSessionsRoutes } from './account/sessions.ts'
import { accountTokenRoutes } from './account/tokens.ts'
import { accountVerifyEmailRoutes } from './account/verify-email.ts'
import { adminRoutes } from './admin/routes.ts'
import type { Config } from './config/schema.ts'
import type { Deps } from './deps.ts'
import { assetRoutes } from './http/assets.ts'
import { errorResponse, methodNotAllowed, surfaceOf } from './http/boundary.ts'
import { allowAnyOrigin, apiCors, preflight } from './http/cors.ts'
import { NotFound } from './http/errors.ts'
import { healthRoutes } from './http/health.ts'
import { observed } from './http/observe.ts'
import type { PathParams, Route } from './http/route.ts'
import { compatLoginRoutes } from './matrix/compat/login.ts'
import { compatLogoutRoutes } from './matrix/compat/logout.ts'
import { compatRefreshRoutes } from './matrix/compat/refresh.ts'
import { compatSsoRoutes } from './matrix/compat/sso-redirect.ts'
import { wellKnownRoutes } from './matrix/well-known.ts'
import { authorizeRoutes } from './oauth/authorize.ts'
import { deviceAuthorizationRoutes } from './oauth/device.ts'
import { discoveryRoutes, keyRoutes } from './oauth/discovery.ts'
import { endSessionRoutes } from './oauth/end-session.ts'
import { introspectionRoutes } from './oauth/introspect.ts'
import { parRoutes } from './oauth/par.ts'
import { registrationRoutes } from './oauth/registration.ts'
import { registrationManagementRoutes } from './oauth/registration-management.ts'
import { revocationRoutes } from './oauth/revoke.ts'
import { tokenRoutes } from './oauth/token.ts'
import { userinfoRoutes } from './oauth/userinfo.ts'
import { compatSsoPageRoutes } from './sign-in/compat-sso.ts'
import { consentRoutes } from './sign-in/consent.ts'
import { deviceRoutes } from './sign-in/device.ts'
import { deviceLinkRoutes } from './sign-in/device-link.ts'
import { indexRoutes } from './sign-in/index-page.ts'
import { languageRoutes } from './sign-in/language.ts'
import { loginRoutes } from './sign-in/login.ts'
import { logoutRoutes } from './sign-in/logout.ts'
import { recoveryPasswordRoutes } from './sign-in/recover/new-password.ts'
import { recoverRoutes } from './sign-in/recover/recover.ts'
import { displayNameRoutes } from './sign-in/register/display-name.ts'
import { registerEmailRoutes } from './sign-in/register/email.ts'
import { registerRoutes } from './sign-in/register/register.ts'
import { registerResumeRoutes } from './sign-in/register/resume.ts'
import { registerTokenRoutes } from './sign-in/register/token.ts'
import { registerWaitingRoutes } from './sign-in/register/waiting.ts'
import { termsRoutes } from './sign-in/terms.ts'
import { metricsRoutes } from './telemetry/metrics-route.ts'
import { upstreamAuthorizeRoutes } from './upstream/authorize.ts'
import { upstreamLogoutRoutes } from './upstream/backchannel-logout.ts'
import { upstreamCallbackRoutes } from './upstream/callback.ts'
import { upstreamLinkRoutes } from './upstream/link.ts'

/** What a listener serves: `http.listeners[].resources[]`. */
export type Resource = Config['http']['listeners'][number]['resources'][number]

/** The routes of each resource. Resources that are not built yet have none; the configuration warns about them. */
export function routesOf(deps: Deps, resource: Resource): Route[] {
  switch (resource.name) {
    case 'discovery':
      return discoveryRoutes(deps)
    case 'oauth':
      return [
        ...keyRoutes(deps),
        ...tokenRoutes(deps),
        ...parRoutes(deps),
        ...introspectionRoutes(deps),
        ...revocationRoutes(deps),
        ...userinfoRoutes(deps),
        ...registrationRoutes(deps),
        ...registrationManagementRoutes(deps),
        ...deviceAuthorizationRoutes(deps),
      ]
    case 'human':
      return [
        ...indexRoutes(deps),
        ...languageRoutes(deps),
        ...authorizeRoutes(deps),
        ...loginRoutes(deps),
        ...termsRoutes(deps),
        ...logoutRoutes(deps),
        ...endSessionRoutes(deps),
        ...registerRoutes(deps),
        ...registerResumeRoutes(deps),
        ...registerWaitingRoutes(deps),
        ...registerTokenRoutes(deps),
        ...registerEmailRoutes(deps),
        ...displayNameRoutes(deps),
        ...upstreamAuthorizeRoutes(deps),
        ...upstreamCallbackRoutes(deps),
        ...upstreamLinkRoutes(deps),
        ...upstreamLogoutRoutes(deps),
        ...recoverRoutes(deps),
        ...recoveryPasswordRoutes(deps),
        ...consentRoutes(deps),
        ...compatSsoPageRoutes(deps),
        ...deviceLinkRoutes(deps),
        ...deviceRoutes(deps),
        ...accountRoutes(deps),
        ...accountTokenRoutes(deps),
        ...accountConfirmRoutes(deps),
        ...accountSessionsRoutes(deps),
        ...accountSessionRoutes(deps),
        ...endSessionsRoutes(deps),
        ...accountAppsRoutes(deps),
        ...accountLinkedRoutes(deps),
        ...accountEmailsRoutes(deps),
        ...accountVerifyEmailRoutes(deps),
        ...accountProfileRoutes(deps),
        ...accountPictureRoutes(deps),
        ...accountPlanRoutes(deps),
        ...accountPasswordRoutes(deps),
        ...accountResetCrossSigningRoutes(deps),
        ...accountSecurityRoutes(deps),
        ...accountDataRoutes(deps),
        ...accountDeactivateRoutes(deps),
        ...accountDeactivateUndoRoutes(deps),
        ...legacyAccountRoutes(deps),
      ]
    case 'compat':
      return [
        ...compatLoginRoutes(deps),
        ...compatSsoRoutes(deps),
        ...compatRefreshRoutes(deps),
        ...compatLogoutRoutes(deps),
      ]
    case 'assets':
      return assetRoutes(deps)
    case 'adminapi':
      return adminRoutes(deps)
    case 'health':
      return healthRoutes(deps)
    case 'prometheus':
      return metricsRoutes(deps)
    case 'well-known':
      return wellKnownRoutes(deps, resource)
    default:
      return []
  }
}

/** Answers requests. `app` is the router, for tests that list what it has. */
export interface App {
  handle(request: Request): Promise<Response>
  routes: Route[]
}

/**
 * The application of one listener. Elysia routes; everything else is plain functions. Routes stand at the root and
 * below every prefix, so that a proxy may strip the path of `public_base` or keep it (decision 4).
 */
export function createApp(
  deps: Deps,
  listener: { resources: readonly Resource[]; prefix?: string | undefined; name?: string | undefined },
): App {
  const routes = listener.resources.flatMap((resource) => routesOf(deps, resource))
  const prefixes = [...new Set(['', deps.urls.prefix, listener.prefix?.replace(/\/+$/, '') ?? ''])]
  const withoutPrefix = (path: string): string => {
    const prefix = prefixes.find((candidate) => candidate !== '' && path.startsWith(`${candidate}/`))
    return path.slice(prefix?.length ?? 0)
  }
  let router: AnyElysia = new Elysia({ strictPath: true, name: 'latchkey' })
    // Routes answer their own errors (`answer`); this one is for unknown addresses and for what the router throws. It
    // comes first and is global, or it would not cover what is added after it.
    .onError({ as: 'global' }, ({ error, request, code }) => {
      const surface = surfaceOf(withoutPrefix(new URL(request.url).pathname))
      const response = errorResponse(deps, request, surface, code === 'NOT_FOUND' ? new NotFound() : error)
      deps.metrics.requests.record(
        0,
        methodOf(request),
        'FALLBACK',
        String(response.status),
        listener.name ?? '',
      )
      // Web clients must be able to read that there is nothing, as with any homeserver.
      if (surface !== 'matrix') return response
      return request.method === 'OPTIONS' ? preflight(apiCors, MATRIX_METHODS) : allowAnyOrigin(response)
    })
  const byPath = Map.groupBy(routes, (route) => route.path)
  for (const prefix of prefixes)
    for (const [path, endpoints] of byPath)
      router = addPath(deps, router, listener.name ?? '', prefix, path, endpoints)
  router.compile()
  return {
    routes,
    async handle(request) {
      const response = await router.fetch(request)
      response.headers.set('x-content-type-options', 'nosniff')
      return response
    },
  }
}

/** A method as the figures know it: strangers may send any word. */
const methodOf = ({ method }: Request): string => (METHODS.includes(method) ? method : 'OTHER')
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Methods of the Matrix API, for addresses that we don't know. */
const MATRIX_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']

/** Bodies are read by our own readers (`http/params.ts`), which know the rules of each surface. */
const UNPARSED = { parse: 'none' } as const

/** What the router hands over. */
type Context = Record<string, unknown>

/** Every method of one path, the preflight answer, and 405 for the rest. */
function addPath(
  deps: Deps,
  router: AnyElysia,
  listener: string,
  prefix: string,
  path: string,
  endpoints: Route[],
): AnyElysia {
  const pattern = prefix + path.replace(/\{(\w+)\}/g, ':$1')
  const methods = endpoints.map((endpoint) => endpoint.method as string)
  if (methods.includes('GET')) methods.push('HEAD')
  let extended = router
  for (const endpoint of endpoints) {
    const run = observed(deps, listener, endpoint, (request, params) =>
      answer(deps, request, endpoint, params),
    )
    const handle = ({ request, params }: Context) => run(request as Request, (params ?? {}) as PathParams)
    extended = extended.route(endpoint.method, pattern, handle, UNPARSED)
    // Said here, or the answer for all other methods would take it.
    if (endpoint.method === 'GET') extended = extended.route('HEAD', pattern, handle, UNPARSED)
  }
  const cors = endpoints.find((endpoint) => endpoint.cors)?.cors
  // Browsers only open the one page below /_matrix: whoever uses another method there is a Matrix client.
  const surface = path.startsWith('/_matrix/') ? 'matrix' : surfaceOf(path)
  const others = ({ request }: Context) => {
    if ((request as Request).method === 'OPTIONS')
      return cors
        ? preflight(cors, methods)
        : new Response(null, { status: 204, headers: { allow: methods.join(', ') } })
    const response = methodNotAllowed(surface, methods)
    return cors ? allowAnyOrigin(response) : response
  }
  return extended.route('ALL', pattern, others, UNPARSED)
}

/**
 * Runs an endpoint. Errors are answered here and not in the router's hook, which would turn an error that is a page
 * with status 200 (`form_post`) into a 500; and those of an endpoint that other origins call must be readable there.
 */
async function answer(deps: Deps, request: Request, endpoint: Route, params: PathParams): Promise<Response> {
  let response: Response
  try {
    // The router gives null for a segment that is not percent-encoded UTF-8.
    if (Object.values(params).some((value) => typeof value !== 'string')) throw new NotFound()
    response = await endpoint.handle(request, params)
  } catch (error) {
    response = errorResponse(deps, request, surfaceOf(endpoint.path), error)
  }
  if (request.method === 'HEAD') response = new Response(null, response)
  return endpoint.cors ? allowAnyOrigin(response) : response
}
