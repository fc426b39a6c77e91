import { type Finding, findingsOf, paste } from './finding.ts'
import { baseUrlOf, get, isThisMachine, memberOf, type Site, said } from './site.ts'

/** The element of a well-known document that names Latchkey, for older clients (MSC2965). */
const MSC2965 = 'org.matrix.msc2965.authentication'

/** `/.well-known/matrix/client` on the deployment domain: where somebody's client begins. */
export async function checkWellKnown(site: Site): Promise<Finding[]> {
  const { ok, warning, failed, skipped } = findingsOf('well_known')
  if (site.config.matrix.kind === 'standalone')
    return [skipped('matrix.kind is standalone: there is no homeserver to find.')]
  const heard = await site.wellKnown()
  const { answer, url } = heard
  if (isThisMachine(site.domain) && !answer && site.reach.detour(url) === undefined)
    return [skipped(`${site.domain} is this machine: clients are told the address of the homeserver.`)]
  const document = JSON.stringify({
    'm.homeserver': { base_url: `https://matrix.${site.domain}` },
    [MSC2965]: { issuer: site.urls.issuer, account: site.urls.absolute('/account/') },
  })
  const serve = paste(
    `Let the web server of ${site.domain} pass this path to Latchkey (resource well-known), or answer it, with the address of your homeserver:`,
    `nginx, server ${site.domain}`,
    'location = /.well-known/matrix/client {',
    '    default_type application/json;',
    '    add_header Access-Control-Allow-Origin *;',
    `    return 200 '${document}';`,
    '}',
  )
  if (answer?.status !== 200)
    return [
      failed(`${url} answers ${said(heard)}: clients can't find the homeserver of ${site.domain}.`, serve),
    ]
  const base = baseUrlOf(answer.json)
  if (!base) return [failed(`${url} has no m.homeserver.base_url that is an address.`, serve)]
  const found: Finding[] = []
  const origin = answer.headers.get('access-control-allow-origin')
  if (origin !== '*')
    found.push(
      failed(
        `${url} lacks the header Access-Control-Allow-Origin: *, so clients in a browser can't read it.`,
        paste(
          'Send it:',
          `nginx, the location of ${url.pathname}`,
          'add_header Access-Control-Allow-Origin *;',
        ),
      ),
    )
  const issuer = memberOf(memberOf(answer.json, MSC2965), 'issuer')
  if (issuer !== undefined && issuer !== site.urls.issuer)
    found.push(
      failed(
        `${url} names another issuer than the configuration: older clients sign in elsewhere.`,
        paste(
          `Correct ${MSC2965}, or leave it out:`,
          'the document',
          `"issuer": ${JSON.stringify(site.urls.issuer)}`,
        ),
      ),
    )
  if (base.protocol !== 'https:' && !isThisMachine(base.hostname))
    found.push(warning(`${url} sends clients to ${base}, without encryption.`))
  if (found.length > 0) return found
  return [ok(`Clients of ${site.domain} find the homeserver at ${base}`)]
}

/** The discovery document at the issuer and at Latchkey's own address, and the keys that it names. */
export async function checkDiscovery(site: Site): Promise<Finding[]> {
  const { ok, failed } = findingsOf('discovery')
  const { issuer, base } = site.urls
  const heard = await site.discovery()
  const own = await get(site.reach, new URL('.well-known/openid-configuration', base))
  const where = (url: URL) =>
    paste(
      `Pass everything of ${url.host} to Latchkey:`,
      `nginx, server ${url.host}`,
      'location / {',
      '    proxy_pass http://127.0.0.1:8080;',
      '    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
      '}',
    )
  if (own.answer?.status !== 200)
    return [
      failed(
        `${own.url} answers ${said(own)}: Latchkey is not reached at its own address.`,
        own.answer === undefined || own.answer.status >= 500
          ? {
              mend: 'Look whether Latchkey runs (its log ends with server.ready), and whether the web server passes this address on to it.',
            }
          : where(own.url),
      ),
    ]
  if (heard.answer?.status !== 200)
    return [
      failed(
        `${heard.url} answers ${said(heard)}: services that know Latchkey by its issuer can't find it.`,
        paste(
          `Pass this path on to Latchkey, or redirect it to ${own.url}:`,
          `nginx, server ${heard.url.host}`,
          `location = ${heard.url.pathname} {`,
          `    return 302 ${own.url};`,
          '}',
        ),
      ),
    ]
  for (const { answer, url } of [heard, own]) {
    const named = memberOf(answer?.json, 'issuer')
    if (named !== issuer)
      return [
        failed(
          `${url} names ${typeof named === 'string' ? `the issuer ${named.slice(0, 200)}` : 'no issuer'}, and the configuration says ${issuer}: something else answers there, or a Latchkey with another configuration.`,
          paste(
            'Compare letter by letter, correct one of them, and restart Latchkey and Synapse:',
            'config.yaml',
            'http:',
            `  issuer: ${issuer}`,
          ),
        ),
      ]
  }
  const paths = new URL(issuer).pathname
  if (paths === '/') return [ok(`${heard.url} describes the issuer ${issuer}`)]
  const rfc = new URL(`/.well-known/oauth-authorization-server${paths.replace(/\/$/, '')}`, issuer)
  const oauth = await get(site.reach, rfc)
  if (memberOf(oauth.answer?.json, 'issuer') === issuer)
    return [ok(`${heard.url} and ${rfc} describe the issuer ${issuer}`)]
  return [
    findingsOf('discovery').warning(
      `${rfc} answers ${said(oauth)}: apps that look there (RFC 8414) don't find Latchkey.`,
      paste(
        'Pass this path on as well:',
        `nginx, server ${rfc.host}`,
        `location = ${rfc.pathname} {`,
        '    proxy_pass http://127.0.0.1:8080;',
        '}',
      ),
    ),
  ]
}

/** Whether the running server publishes the keys of the configuration. */
export async function publishedKeys(site: Site): Promise<Set<string> | undefined> {
  const uri = memberOf((await site.discovery()).answer?.json, 'jwks_uri')
  if (typeof uri !== 'string' || !URL.canParse(uri)) return undefined
  const keys = memberOf((await get(site.reach, new URL(uri))).answer?.json, 'keys')
  if (!Array.isArray(keys)) return undefined
  return new Set(keys.map((key) => String(memberOf(key, 'kid'))))
}
