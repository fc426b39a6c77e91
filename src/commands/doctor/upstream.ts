import { loadKeystore } from '../../crypto/keystore.ts'
import { createOutgoingFetch, createProxyOf } from '../../http/outgoing.ts'
import { enabledProviders, type Provider, providerName } from '../../identity/providers.ts'
import { base64url } from '../../lib/base64url.ts'
import { isRecord } from '../../lib/record.ts'
import { parseKeySet } from '../../oauth/client-keys.ts'
import { createClaimTemplates } from '../../render/claim-templates.ts'
import { createAsk } from '../../upstream/ask.ts'
import { isOpenId } from '../../upstream/authorize.ts'
import type { ProofNeeds } from '../../upstream/client-auth.ts'
import { callbackUri, sendCode } from '../../upstream/exchange.ts'
import {
  discoveryUrl,
  fetchDocument,
  type Metadata,
  readMetadata,
  staticMetadata,
} from '../../upstream/metadata.ts'
import { ProviderError } from '../../upstream/provider-error.ts'
import { templateFaults } from '../../upstream/upstream.ts'
import { type Finding, findingsOf, paste, type Remedy } from './finding.ts'
import { whyNot } from './reach.ts'
import type { Site } from './site.ts'
import { compareOffer, type Document } from './upstream-offer.ts'

type Needs = ProofNeeds & Pick<Site, 'config' | 'urls'> & { ask: ReturnType<typeof createAsk> }

/** The providers, each asked as a sign-in would: by the same code, through the same proxy, under the same rules. */
export async function checkUpstream(site: Site): Promise<Finding[]> {
  const { config } = site
  const providers = enabledProviders(config)
  if (providers.length === 0) return []
  const proxyOf = createProxyOf(config.outgoing)
  const ask = createAsk(createOutgoingFetch(proxyOf), { proxyOf })
  const { keystore } = await loadKeystore(config.secrets.keys)
  const needs: Needs = { ...site, keys: keystore, ask }
  return (await Promise.all(providers.map((provider) => walk(needs, provider)))).flat()
}

/** The same where nothing else is looked at, of one provider if it is named; says when there is none. */
export async function checkProviders(site: Site, id?: string): Promise<Finding[]> {
  const { skipped, failed } = findingsOf('upstream')
  const all = enabledProviders(site.config)
  const providers = id === undefined ? all : all.filter((one) => one.id === id.toUpperCase())
  if (providers.length > 0)
    return checkUpstream({ ...site, config: { ...site.config, upstream_oauth2: { providers } } })
  if (all.length === 0 && id === undefined)
    return [skipped('There is no provider, neither in upstream_oauth2.providers nor made by the admin API.')]
  const names = all.map((one) => `${one.id} (${providerName(one)})`).join(', ')
  return [failed(`No provider ${id} is offered.`, { mend: `Those that are: ${names || 'none'}.` })]
}

async function walk(needs: Needs, provider: Provider): Promise<Finding[]> {
  const registration = [registrationOf(needs, provider), ...templatesOf(needs, provider)]
  const { found, metadata, document } = await discovery(needs, provider)
  if (!metadata) return [...registration, found]
  const asked = await Promise.all([
    keysOf(needs, provider, metadata),
    clientOf(needs, provider, metadata),
    userinfoOf(needs, provider, metadata),
  ])
  return [...registration, found, ...(document ? compareOffer(provider, document) : []), ...asked]
}

/** What has to be registered there. */
function registrationOf({ urls }: Needs, provider: Provider): Finding {
  const { ok, failed } = findingsOf('upstream_registration', provider.id)
  const { token_endpoint_auth_method: method, rp_initiated_logout, on_backchannel_logout } = provider
  const name = providerName(provider)
  const lines = [
    `Redirect URI: ${callbackUri({ urls }, provider)}`,
    ...(on_backchannel_logout === 'do_nothing'
      ? []
      : [`Back-channel logout URI: ${urls.absolute(`/upstream/backchannel-logout/${provider.id}`)}`]),
    ...(rp_initiated_logout ? [`Post-logout redirect URI: ${urls.base}`] : []),
    ...(method === 'private_key_jwt' || provider.id_token_encrypted_response_alg !== undefined
      ? [`Keys (jwks_uri): ${urls.absolute('/oauth2/keys.json')}`]
      : []),
  ]
  if (!isOpenId(provider) && !provider.fetch_userinfo)
    return failed(`${name} is never asked who somebody is: scope has no openid, and fetch_userinfo is off.`, {
      mend: 'Add openid to scope, or turn fetch_userinfo on.',
    })
  return ok(
    `${name} knows Latchkey as ${provider.client_id}.`,
    paste('It must have these addresses, letter by letter:', `The client at ${name}`, ...lines),
  )
}

const templatesOf = ({ config }: Needs, provider: Provider): Finding[] =>
  templateFaults(
    { templates: createClaimTemplates() },
    { ...config, upstream_oauth2: { providers: [provider] } },
  ).map((sentence) => findingsOf('upstream_templates', provider.id).failed(sentence))

interface Discovered {
  found: Finding
  metadata?: Metadata
  document?: Document
}

/** What it says about itself: reached, of the right issuer, whole. */
async function discovery({ ask }: Needs, provider: Provider): Promise<Discovered> {
  const { ok, failed, skipped } = findingsOf('upstream_discovery', provider.id)
  if (provider.discovery_mode === 'disabled')
    return {
      found: skipped('discovery_mode is disabled: the addresses of the configuration are used.'),
      metadata: staticMetadata(provider),
    }
  const { issuer = '' } = provider
  let document: Document
  try {
    document = await fetchDocument(ask, provider)
  } catch (error) {
    return {
      found: failed(`${discoveryUrl(provider)} is not its metadata: ${whyOf(error)}.`, {
        mend: 'Open the address in a browser: issuer is what stands before /.well-known there.',
      }),
    }
  }
  try {
    const metadata = readMetadata(provider, document)
    return { found: ok(`${discoveryUrl(provider)} describes the issuer ${issuer}`), metadata, document }
  } catch (error) {
    const { issuer: named } = document
    const remedy: Remedy =
      typeof named === 'string' && named !== issuer && /^https?:\/\/\S{1,200}$/.test(named)
        ? paste(
            'If that is the provider that you mean:',
            `upstream_oauth2.providers, ${provider.id}`,
            `issuer: ${named}`,
          )
        : { mend: 'Mend it there, or name the addresses (authorization_endpoint and so on).' }
    return { found: failed(`${discoveryUrl(provider)}: ${whyOf(error)}.`, remedy) }
  }
}

/** The keys that its tokens are verified with. */
async function keysOf({ ask }: Needs, provider: Provider, { jwksUri }: Metadata): Promise<Finding> {
  const { ok, failed, skipped } = findingsOf('upstream_keys', provider.id)
  const { id_token_signed_response_alg: idAlg, userinfo_signed_response_alg: userinfoAlg } = provider
  const algs = [...(isOpenId(provider) ? [idAlg] : []), ...(userinfoAlg === undefined ? [] : [userinfoAlg])]
  const asymmetric = algs.filter((alg) => !alg.startsWith('HS'))
  if (asymmetric.length === 0) return skipped('No key of its is needed.')
  if (!jwksUri)
    return failed('It names no jwks_uri: what it signs cannot be verified.', {
      mend: 'Name the address in the configuration: jwks_uri.',
    })
  try {
    const { status, body } = await ask(provider, jwksUri, { method: 'GET' })
    if (status !== 200) return failed(`${jwksUri} answers ${status}.`)
    const { keys } = parseKeySet(body)
    const lacking = asymmetric.filter((alg) => !keys.some((key) => couldSign(key, alg)))
    if (lacking.length === 0)
      return ok(`${jwksUri} has keys (${keys.length}), one for ${asymmetric.join(', ')}.`)
    return failed(`${jwksUri} has no key for ${lacking.join(', ')}: no sign-in works.`, {
      mend: 'Compare id_token_signed_response_alg with the keys there.',
    })
  } catch (error) {
    return failed(`${jwksUri} gives no keys: ${whyOf(error)}.`, ofHost('jwks_uri', jwksUri, error))
  }
}

const TYPES: Readonly<Record<string, string>> = { RS: 'RSA', PS: 'RSA', ES: 'EC', Ed: 'OKP' }

const couldSign = ({ kty, use, alg: own }: Record<string, unknown>, alg: string): boolean =>
  kty === TYPES[alg.slice(0, 2)] && use !== 'enc' && (own === undefined || own === alg)

/** Errors of a token endpoint that knows us and does not know the code. */
const CODE_REFUSED = new Set(['invalid_grant', 'bad_verification_code'])
/** Errors of one that does not know us. */
const CLIENT_REFUSED = new Set(['invalid_client', 'unauthorized_client', 'incorrect_client_credentials'])

/** Shows the token endpoint a made-up code: one that refuses the code and not us has taken our proof. */
async function clientOf(needs: Needs, provider: Provider, { tokenEndpoint }: Metadata): Promise<Finding> {
  const { ok, warning, failed } = findingsOf('upstream_client', provider.id)
  const { token_endpoint_auth_method: method } = provider
  const madeUp = () => base64url(needs.random.bytes(32))
  try {
    const code = { code: `doctor-${madeUp()}`, verifier: madeUp() }
    const { status, body } = await sendCode(needs, provider, tokenEndpoint, code)
    const error = errorOf(body)
    if (error !== undefined && CODE_REFUSED.has(error))
      return ok(`${tokenEndpoint} takes our proof (${method}): it refused a made-up code, as it should.`)
    if (status === 401 || (error !== undefined && CLIENT_REFUSED.has(error)))
      return failed(`${tokenEndpoint} refuses our proof (${method}): ${status} ${error ?? ''}`.trim(), {
        mend: 'Compare client_id, the secret and token_endpoint_auth_method with the client there.',
      })
    return warning(
      `${tokenEndpoint} answers ${status} ${error ?? 'without an error code'} to a made-up code: whether it takes our proof (${method}) is not known.`,
      { mend: 'Try a sign-in: latchkey upstream try.' },
    )
  } catch (error) {
    return failed(
      `${tokenEndpoint} cannot be asked: ${whyOf(error)}.`,
      ofHost('token_endpoint', tokenEndpoint, error),
    )
  }
}

/** The code of an error (RFC 6749 section 5.2), and no other text: it may hold anything. */
function errorOf(body: string): string | undefined {
  try {
    const answer: unknown = JSON.parse(body)
    const error = isRecord(answer) ? answer.error : undefined
    return typeof error === 'string' && /^\w{1,60}$/.test(error) ? error : undefined
  } catch {
    return undefined
  }
}

async function userinfoOf(
  { ask }: Needs,
  provider: Provider,
  { userinfoEndpoint }: Metadata,
): Promise<Finding> {
  const { ok, failed, skipped } = findingsOf('upstream_userinfo', provider.id)
  if (!provider.fetch_userinfo) return skipped('fetch_userinfo is off.')
  if (!userinfoEndpoint)
    return failed('fetch_userinfo is on, and it names no userinfo_endpoint: no sign-in works.', {
      mend: 'Name the address in the configuration: userinfo_endpoint; or turn fetch_userinfo off.',
    })
  try {
    const headers = { 'user-agent': 'Latchkey' }
    const { status } = await ask(provider, userinfoEndpoint, { method: 'GET', headers })
    if (status === 401 || status === 403 || status === 400) return ok(`${userinfoEndpoint} asks for a token.`)
    return failed(`${userinfoEndpoint} answers ${status} without a token: that is no userinfo endpoint.`)
  } catch (error) {
    return failed(
      `${userinfoEndpoint} cannot be asked: ${whyOf(error)}.`,
      ofHost('userinfo_endpoint', userinfoEndpoint, error),
    )
  }
}

/** What its metadata names besides its issuer has to be public and https, unless the configuration names it. */
const ofHost = (key: string, url: URL, error: unknown): Remedy =>
  /is not (a )?public|is not https:/.test(whyOf(error))
    ? paste('If that host is yours, name it:', 'upstream_oauth2.providers', `${key}: ${url}`)
    : { mend: 'Look whether this machine reaches it (firewall, outgoing.https_proxy).' }

/** Of a provider that is not reached, why; of one that is, what it did wrong. */
const whyOf = (error: unknown): string =>
  whyNot(
    error instanceof ProviderError && error.problem === 'unreachable' && error.cause ? error.cause : error,
  )
