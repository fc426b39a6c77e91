import { randomString } from '../../lib/random.ts'
import { createHomeserver } from '../../matrix/homeserver/create.ts'
import { HomeserverError } from '../../matrix/homeserver/homeserver.ts'
import { type Finding, findingsOf, paste, type Remedy } from './finding.ts'
import { authMetadata, get, memberOf, type Site, said, send, slashed } from './site.ts'

/** The homeserver at the address that clients use, and who signs people in as it says. */
export async function checkHomeserver(site: Site): Promise<Finding[]> {
  const { ok, failed, skipped } = findingsOf('homeserver')
  if (site.config.matrix.kind === 'standalone') return [skipped('matrix.kind is standalone.')]
  const base = await site.homeserver()
  if (!base)
    return [
      skipped('The address of the homeserver is not known: the well-known document does not say it.', {
        mend: 'Mend that first, or name the address: --homeserver-url https://matrix.example.org/',
      }),
    ]
  const heard = await get(site.reach, new URL('_matrix/client/versions', base))
  if (Array.isArray(memberOf(heard.answer?.json, 'versions')))
    return [ok(`A homeserver answers at ${base}`), ...(await checkMetadata(site, base))]
  return [
    failed(
      `${heard.url} answers ${said(heard)}: there is no homeserver.`,
      paste(
        'Pass this path on to Synapse:',
        `nginx, server ${base.host}`,
        'location ~ ^(/_matrix|/_synapse/client) {',
        `    proxy_pass ${site.config.matrix.endpoint.replace(/\/$/, '')};`,
        '}',
      ),
    ),
  ]
}

async function checkMetadata(site: Site, base: URL): Promise<Finding[]> {
  const { ok, failed } = findingsOf('auth_metadata')
  const heard = await authMetadata(site.reach, base)
  const issuer = memberOf(heard.answer?.json, 'issuer')
  if (issuer === site.urls.issuer) return [ok(`${heard.url} names the issuer ${site.urls.issuer}`)]
  if (typeof issuer === 'string')
    return [
      failed(
        `${heard.url} names the issuer ${issuer.slice(0, 200)}, and the configuration says ${site.urls.issuer}.`,
        {
          mend: 'Synapse keeps the document until it is restarted: restart it. If that does not help, matrix_authentication_service.endpoint in homeserver.yaml leads to something else.',
        },
      ),
    ]
  if (heard.answer?.status === 404)
    return [failed(`${heard.url} answers ${said(heard)}: Synapse signs people in by itself.`, delegate(site))]
  return [failed(`${heard.url} answers ${said(heard)}: Synapse does not reach Latchkey.`, reached(site))]
}

/** Synapse's side of the link. The secret is named, never shown. */
function delegate({ config, urls }: Site): Remedy {
  if (config.matrix.kind === 'synapse_legacy')
    return {
      mend: 'Turn experimental_features.msc3861 on in homeserver.yaml (docs/homeserver.md), and restart Synapse.',
    }
  return paste(
    'Turn it on, and restart Synapse:',
    'homeserver.yaml',
    'matrix_authentication_service:',
    '  enabled: true',
    `  endpoint: ${localAddress(config) ?? urls.base}`,
    '  secret: "…"   # the text of matrix.secret of Latchkey',
  )
}

const reached = ({ config, urls }: Site): Remedy =>
  paste(
    'Correct the address at which Synapse reaches Latchkey (the one below, if both run on one machine), and restart Synapse:',
    'homeserver.yaml',
    'matrix_authentication_service:',
    `  endpoint: ${localAddress(config) ?? urls.base}`,
  )

/** Where a program on this machine reaches the resource `oauth`. */
export function localAddress({ http }: Site['config'], resource = 'oauth'): string | undefined {
  const binds = http.listeners
    .filter(({ resources, tls }) => !tls && resources.some(({ name }) => name === resource))
    .flatMap((listener) => listener.binds)
  for (const bind of binds) {
    if (!('port' in bind)) continue
    const everywhere = bind.host === undefined || bind.host === '::' || bind.host === '0.0.0.0'
    const host = everywhere ? 'localhost' : (bind.host ?? '')
    return `http://${host.includes(':') ? `[${host}]` : host}:${bind.port}/`
  }
  return undefined
}

/** The secret from Latchkey to the homeserver: a question that changes nothing. */
export async function checkSecretOut(site: Site): Promise<Finding[]> {
  const { ok, failed, skipped } = findingsOf('secret_to_homeserver')
  const { matrix } = site.config
  if (matrix.kind === 'standalone') return [skipped('matrix.kind is standalone: there is no homeserver.')]
  const versions = await get(site.reach, new URL('_matrix/client/versions', slashed(matrix.endpoint)))
  if (versions.answer?.status !== 200)
    return [
      failed(
        `The homeserver does not answer at ${matrix.endpoint} (${said(versions)}).`,
        paste(
          'Start Synapse, or correct where Latchkey reaches it:',
          'config.yaml',
          'matrix:',
          '  endpoint: http://localhost:8008/',
        ),
      ),
    ]
  const homeserver = createHomeserver(matrix, { fetch: fetchOf(site), clock: site.clock })
  try {
    await homeserver.isLocalpartAvailable('latchkey-doctor')
    return [ok(`The homeserver at ${matrix.endpoint} takes matrix.secret.`)]
  } catch (error) {
    if (!(error instanceof HomeserverError)) throw error
    const wrong = error.status === 401 || error.status === 403
    return [
      failed(
        `The homeserver at ${matrix.endpoint} refuses Latchkey: ${error.message.slice(0, 300)}`,
        wrong ? sameSecret(site) : delegate(site),
      ),
    ]
  }
}

const fetchOf =
  ({ reach }: Site) =>
  async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const { status, headers, json } = await reach.send(
      new URL(input instanceof Request ? input.url : input),
      init,
    )
    return new Response(status === 204 ? null : JSON.stringify(json ?? null), {
      status,
      headers: { 'content-type': headers.get('content-type') ?? '' },
    })
  }

const sameSecret = ({ config }: Site): Remedy =>
  config.matrix.kind === 'synapse_legacy'
    ? {
        mend: 'Make matrix.secret and admin_token of experimental_features.msc3861 the same text, and restart the one that changed.',
      }
    : paste(
        'Make both the same text, and restart the one that changed:',
        'homeserver.yaml',
        'matrix_authentication_service:',
        '  secret: "…"   # the text of matrix.secret of Latchkey',
      )

/**
 * The secret from the homeserver to Latchkey: it is shown a token that nobody has, and has to ask Latchkey about it. A
 * Synapse that does not ask knows no such token either, so its `auth_metadata` must say that it does.
 */
export async function checkSecretIn(site: Site): Promise<Finding[]> {
  const { ok, warning, failed, skipped } = findingsOf('secret_from_homeserver')
  const { matrix } = site.config
  if (matrix.kind === 'standalone') return [skipped('matrix.kind is standalone: there is no homeserver.')]
  const url = new URL('_matrix/client/v3/account/whoami', slashed(matrix.endpoint))
  const token = `latchkey-doctor-${randomString(site.random, 20)}`
  const [heard, metadata] = await Promise.all([
    send(site.reach, url, { headers: { authorization: `Bearer ${token}` } }),
    site.metadata(),
  ])
  const issuer = memberOf(metadata.answer?.json, 'issuer')
  if (!heard.answer)
    return [skipped(`The homeserver does not answer at ${matrix.endpoint} (${said(heard)}).`)]
  const { status } = heard.answer
  if (metadata.answer?.status === 404)
    return [
      failed(
        `Synapse does not ask Latchkey about tokens: ${metadata.url} answers ${said(metadata)}.`,
        delegate(site),
      ),
    ]
  if (issuer !== undefined && issuer !== site.urls.issuer)
    return [
      failed(
        'Synapse asks another service about tokens, or has not been restarted since http.issuer changed.',
        reached(site),
      ),
    ]
  if (status === 401) return [ok('The homeserver asks Latchkey about tokens, and is answered.')]
  if (status !== 503)
    return [
      failed(`${url} answers ${said(heard)} to a token that does not exist; 401 was expected.`, {
        mend: 'Look whether matrix.endpoint is the address of Synapse.',
      }),
    ]
  const alive = memberOf((await site.discovery()).answer?.json, 'issuer') === site.urls.issuer
  return alive && issuer !== undefined
    ? [
        failed(
          "The homeserver asks Latchkey about tokens and is refused: its secret is another one (client.rejected in Latchkey's log).",
          sameSecret(site),
        ),
      ]
    : [
        (site.running ? failed : warning)(
          'The homeserver can not ask Latchkey about tokens: it does not reach it.',
          reached(site),
        ),
      ]
}
