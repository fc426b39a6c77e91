import { type Finding, findingsOf, paste } from './finding.ts'
import { localAddress } from './homeserver.ts'
import { get, type Heard, memberOf, type Site, said, send } from './site.ts'

/** Versions of the login API that clients still ask for. */
const VERSIONS = ['v3', 'r0']

/**
 * The login API of Matrix at the address of the homeserver: the web server has to bring it to Latchkey. Synapse answers
 * these paths with 404 when it leaves accounts to us.
 */
export async function checkLegacyRoutes(site: Site): Promise<Finding[]> {
  const { skipped } = findingsOf('legacy_routes')
  const base = await site.homeserver()
  if (!base) return [skipped('The address of the homeserver is not known.')]
  const served = site.config.http.listeners.some(({ resources }) =>
    resources.some(({ name }) => name === 'compat'),
  )
  if (!served) return [skipped('No listener has the resource compat: older clients and bots are not served.')]
  const logins = await Promise.all(VERSIONS.map((version) => checkLogin(site, base, version)))
  const post = (path: string, body: object): Promise<Heard> =>
    send(site.reach, new URL(path, base), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const [logout, refresh, redirect] = await Promise.all([
    post('_matrix/client/v3/logout', {}),
    post('_matrix/client/v3/refresh', { refresh_token: 'latchkey-doctor' }),
    // Without the address to come back to: with one a sign-in would begin, and be kept.
    send(site.reach, new URL('_matrix/client/v3/login/sso/redirect', base)),
  ])
  return [
    ...logins,
    // Both know no such session and say so. Synapse has the paths no more: 404 is what it answers.
    routeFinding(site, 'POST logout', logout, logout.answer?.status === 401),
    routeFinding(site, 'POST refresh', refresh, refresh.answer?.status === 401),
    ssoFinding(site, redirect),
  ]
}

/** GET login: the flows, with the flag by which clients that know OAuth see that they should use it (MSC3824). */
async function checkLogin(site: Site, base: URL, version: string): Promise<Finding> {
  const subject = `GET ${version}/login`
  const { ok, failed } = findingsOf('legacy_routes', subject)
  const heard = await get(site.reach, new URL(`_matrix/client/${version}/login`, base))
  const flows = memberOf(heard.answer?.json, 'flows')
  if (heard.answer?.status !== 200 || !Array.isArray(flows))
    return failed(`${heard.url} answers ${said(heard)}: older clients can't sign in.`, passOn(site))
  const sso = flows.find((flow) => memberOf(flow, 'type') === 'm.login.sso')
  const flagged =
    memberOf(sso, 'oauth_aware_preferred') === true ||
    memberOf(sso, 'org.matrix.msc3824.delegated_oidc_compatibility') === true
  if (flagged) return ok(`${heard.url} is Latchkey's, and tells newer clients to use OAuth.`)
  return failed(
    `${heard.url} does not say that OAuth is preferred: Synapse answers in place of Latchkey.`,
    passOn(site),
  )
}

function routeFinding(site: Site, subject: string, heard: Heard, reached: boolean): Finding {
  const { ok, failed } = findingsOf('legacy_routes', subject)
  if (reached) return ok(`${heard.url} reaches Latchkey.`)
  return failed(`${heard.url} answers ${said(heard)}, where Latchkey would say 401.`, passOn(site))
}

/** The sign-in in the browser: Latchkey refuses with a page, a homeserver with an error of the Matrix API. */
function ssoFinding(site: Site, heard: Heard): Finding {
  const page = heard.answer?.status === 400 && memberOf(heard.answer.json, 'errcode') === undefined
  if (page) return routeFinding(site, 'GET login/sso/redirect', heard, true)
  const { failed } = findingsOf('legacy_routes', 'GET login/sso/redirect')
  return failed(`${heard.url} answers ${said(heard)}, where Latchkey would show a page.`, passOn(site))
}

function passOn({ config }: Site) {
  const address = localAddress(config, 'compat') ?? 'http://127.0.0.1:8080/'
  return paste(
    'In the server of the homeserver, before what goes to Synapse:',
    'nginx',
    'location ~ ^/_matrix/client/[^/]+/(login|logout|refresh)(/|$) {',
    `    proxy_pass ${address.replace('localhost', '127.0.0.1').replace(/\/$/, '')};`,
    '    proxy_http_version 1.1;',
    '    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
    '}',
  )
}
