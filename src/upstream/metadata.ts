import type { Provider } from '../identity/providers.ts'
import type { Clock } from '../lib/clock.ts'
import { isRecord } from '../lib/record.ts'
import type { Log } from '../telemetry/log.ts'
import type { Ask } from './ask.ts'
import { ProviderError } from './provider-error.ts'

/** Where a provider is asked what, and what it can do. */
export interface Metadata {
  authorizationEndpoint: URL
  tokenEndpoint: URL
  userinfoEndpoint: URL | undefined
  jwksUri: URL | undefined
  endSessionEndpoint: URL | undefined
  /** It takes PKCE with S256. */
  pkce: boolean
  /** Its answers name it (RFC 9207): one that does not is not from it. */
  namesItself: boolean
}

/** The metadata of providers, kept by one process. */
export interface MetadataCache {
  /** @throws ProviderError when the provider does not answer, and never did */
  of(provider: Provider): Promise<Metadata>
  /** What it says now, whatever is known: for a browser that is sent there and could not come back. @throws ProviderError */
  now(provider: Provider): Promise<Metadata>
}

/** Milliseconds after which metadata is asked for again, while the old one is used. */
const FRESH = 15 * 60_000
/** Milliseconds before a provider that did not answer is asked again. */
const PAUSE = 10_000
/** Milliseconds for an answer that nobody needs but to know that the provider is there. */
const SIGN_OF_LIFE = 3000

interface Cached {
  /** As it was when it was asked: with other settings it is asked anew. */
  provider: Provider
  metadata?: Metadata
  /** When it was last asked for. */
  askedAt: number
  pending: Promise<Metadata>
}

/** Creates the cache. Only a first answer is waited for; later ones are fetched while the one before is used. */
export function createMetadataCache({
  clock,
  ask,
  log,
}: {
  clock: Clock
  ask: Ask
  log: Log
}): MetadataCache {
  const cache = new Map<string, Cached>()
  return {
    async of(provider) {
      if (provider.discovery_mode === 'disabled') return staticMetadata(provider)
      const now = clock.now().getTime()
      const last = cache.get(provider.id)
      const known = last?.provider === provider ? last : undefined
      const pause = known?.metadata ? FRESH : PAUSE
      if (known && now - known.askedAt < pause) return known.metadata ?? known.pending
      const entry: Cached = {
        provider,
        ...(known?.metadata && { metadata: known.metadata }),
        askedAt: now,
        pending: fetchDocument(ask, provider).then((document) => readMetadata(provider, document)),
      }
      cache.set(provider.id, entry)
      const settled = entry.pending.then(
        (metadata) => {
          entry.metadata = metadata
        },
        (error: unknown) => log.warn('upstream.discovery_failed', { provider_id: provider.id, error }),
      )
      if (entry.metadata) return entry.metadata
      await settled
      return entry.pending
    },
    async now(provider) {
      if (provider.discovery_mode === 'disabled') return staticMetadata(provider)
      const askedAt = clock.now().getTime()
      const metadata = readMetadata(provider, await fetchDocument(ask, provider, SIGN_OF_LIFE))
      cache.set(provider.id, { provider, metadata, askedAt, pending: Promise.resolve(metadata) })
      return metadata
    },
  }
}

/** The addresses of the configuration, where nothing is discovered. @throws ProviderError */
export function staticMetadata(provider: Provider): Metadata {
  const { authorization_endpoint, token_endpoint, userinfo_endpoint, jwks_uri } = provider
  if (authorization_endpoint === undefined || token_endpoint === undefined)
    throw new ProviderError('failed', 'discovery is off, and endpoints are missing')
  return {
    authorizationEndpoint: new URL(authorization_endpoint),
    tokenEndpoint: new URL(token_endpoint),
    userinfoEndpoint: userinfo_endpoint === undefined ? undefined : new URL(userinfo_endpoint),
    jwksUri: jwks_uri === undefined ? undefined : new URL(jwks_uri),
    endSessionEndpoint: undefined,
    pkce: false,
    namesItself: false,
  }
}

/** Where a provider describes itself (OpenID Connect Discovery 1.0 section 4). */
export const discoveryUrl = ({ issuer = '' }: Provider): URL =>
  new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)

/** What a provider says about itself, unchecked. @throws ProviderError */
export async function fetchDocument(
  ask: Ask,
  provider: Provider,
  timeoutMs?: number,
): Promise<Record<string, unknown>> {
  const url = discoveryUrl(provider)
  const { status, body } = await ask(provider, url, { method: 'GET' }, timeoutMs)
  if (status !== 200) throw new ProviderError('unreachable', `${url.href} answered ${status}`)
  let document: unknown
  try {
    document = JSON.parse(body)
  } catch (cause) {
    throw new ProviderError('failed', `${url.href} is not JSON`, { cause })
  }
  if (!isRecord(document)) throw new ProviderError('failed', `${url.href} is not an object`)
  return document
}

/** Where a provider is asked what, as it says and as the configuration does. @throws ProviderError */
export function readMetadata(provider: Provider, document: Record<string, unknown>): Metadata {
  if (provider.discovery_mode === 'oidc') checkDocument(document, provider.issuer ?? '')
  return readDocument(provider, document)
}

/** What `discovery_mode: insecure` leaves out. @throws ProviderError */
function checkDocument(document: Record<string, unknown>, issuer: string): void {
  const wrong = (what: string) => {
    throw new ProviderError('failed', `metadata: ${what}`)
  }
  if (document.issuer !== issuer) wrong(`the issuer is ${String(document.issuer).slice(0, 200)}`)
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint']) {
    const value = document[name]
    if (value === undefined && name !== 'userinfo_endpoint') wrong(`${name} is missing`)
    if (value === undefined) continue
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
    if (!url || (url.protocol !== 'https:' && !isLoopback(url))) wrong(`${name} is not https`)
    if (url?.hash) wrong(`${name} has a fragment`)
  }
  const scopes = document.scopes_supported
  if (Array.isArray(scopes) && !scopes.includes('openid')) wrong('there is no scope openid')
}

/** For a provider that is tried out on this machine. */
const isLoopback = ({ protocol, hostname }: URL): boolean =>
  protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)

/** What the configuration says goes before what the provider says. */
function readDocument(provider: Provider, document: Record<string, unknown>): Metadata {
  const address = (name: 'authorization_endpoint' | 'token_endpoint' | 'userinfo_endpoint' | 'jwks_uri') =>
    provider[name] ?? text(document[name])
  return {
    authorizationEndpoint: needed(address('authorization_endpoint'), 'authorization_endpoint'),
    tokenEndpoint: needed(address('token_endpoint'), 'token_endpoint'),
    userinfoEndpoint: webAddress(address('userinfo_endpoint')),
    jwksUri: webAddress(address('jwks_uri')),
    endSessionEndpoint: signOutAddress(provider, text(document.end_session_endpoint)),
    pkce:
      Array.isArray(document.code_challenge_methods_supported) &&
      document.code_challenge_methods_supported.includes('S256'),
    namesItself: document.authorization_response_iss_parameter_supported === true,
  }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** Nobody is sent with an ID token to where others read it on the way. */
function signOutAddress({ discovery_mode: mode }: Provider, value: string | undefined): URL | undefined {
  const url = webAddress(value)
  return url && (mode === 'insecure' || url.protocol === 'https:' || isLoopback(url)) ? url : undefined
}

function webAddress(value: string | undefined): URL | undefined {
  const url = value !== undefined && URL.canParse(value) ? new URL(value) : undefined
  return url && /^https?:$/.test(url.protocol) ? url : undefined
}

function needed(value: string | undefined, name: string): URL {
  const url = webAddress(value)
  if (!url) throw new ProviderError('failed', `metadata: ${name} is missing`)
  return url
}
