import { servesAdminApi } from '../../oauth/served-scopes.ts'
import { type Finding, findingsOf, paste } from './finding.ts'
import { localAddress } from './homeserver.ts'
import { get, type Site, said } from './site.ts'

/** Who reaches the admin API: from outside, from this machine, nobody. Without a token it answers 401. */
export async function checkAdminApi(site: Site): Promise<Finding[]> {
  const { ok, failed, skipped } = findingsOf('admin_api')
  const { config, urls, reach } = site
  if (!servesAdminApi(config))
    return [
      skipped('No listener has the resource adminapi.', {
        mend: 'Scripts and Element Admin need it: add "- name: adminapi" to the resources of a listener, if you use them.',
      }),
    ]
  const outside = await get(reach, new URL('api/admin/v1/users', urls.base))
  if (outside.answer?.status === 401)
    return [ok(`The admin API answers at ${urls.base}api/admin/v1/ and asks for a token.`)]
  if (outside.answer?.status === 200)
    return [
      failed(`${outside.url} answers without a token: something else is there, or adds one.`, {
        mend: 'Remove the Authorization header that the web server adds.',
      }),
    ]
  const local = localAddress(config, 'adminapi')
  if (local !== undefined && local !== localAddress(config)) {
    const inside = await get(reach, new URL('api/admin/v1/users', local))
    if (inside.answer?.status === 401)
      return [ok(`The admin API answers at ${local} and not from outside (${said(outside)}).`)]
    return [
      failed(
        `The admin API answers neither at ${urls.base} (${said(outside)}) nor at ${local} (${said(inside)}).`,
        { mend: 'Look whether Latchkey runs with this configuration.' },
      ),
    ]
  }
  return [
    failed(
      `${outside.url} answers ${said(outside)}: the admin API does not come through the web server.`,
      paste(
        'Pass it on, or move adminapi to a listener of its own:',
        'nginx',
        `location ${new URL(urls.base).pathname}api/ {`,
        `    proxy_pass ${(local ?? 'http://127.0.0.1:8080/').replace(/\/$/, '')};`,
        '}',
      ),
    ),
  ]
}
