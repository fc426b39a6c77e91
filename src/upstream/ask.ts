import { type PublicFetchOptions, type PublicRequest, requestPublic } from '../http/fetch-public.ts'
import type { Provider } from '../identity/providers.ts'
import { messageOf } from '../lib/thrown.ts'
import type { Fetch } from '../matrix/homeserver/homeserver.ts'
import { ProviderError } from './provider-error.ts'

/** Milliseconds for one call: a person waits for it. */
const TIMEOUT = 10_000
/** Bytes of an answer. */
const MOST = 512 * 1024

/** What came back. */
export interface ProviderAnswer {
  status: number
  body: string
  /** Media type in lower case, without parameters. */
  type: string
  maxAge: number | undefined
}

/** Asks an endpoint of a provider; `timeoutMs` where its ten seconds are too long. @throws ProviderError `unreachable` */
export type Ask = (
  provider: Provider,
  url: URL,
  request: PublicRequest,
  timeoutMs?: number,
) => Promise<ProviderAnswer>

/**
 * Calls to providers: ten seconds, half a megabyte, no redirects. The hosts that the configuration names may be anywhere,
 * this machine included. What the metadata of a provider names besides them must be public and `https`, or a provider
 * could have us ask the neighbours of this server.
 */
export function createAsk(
  fetch: Fetch,
  publicOptions: Pick<PublicFetchOptions, 'allows' | 'ca' | 'proxyOf'>,
): Ask {
  return async (provider, url, request, timeoutMs = TIMEOUT) => {
    try {
      if (!isNamedByOperator(provider, url))
        return await requestPublic(url, request, { timeoutMs, maxBytes: MOST, ...publicOptions })
      return await direct(fetch, url, request, timeoutMs)
    } catch (cause) {
      throw new ProviderError('unreachable', `${url.origin}: ${messageOf(cause)}`, { cause })
    }
  }
}

/** Whether the configuration itself names the host of an address (with its scheme and port). */
function isNamedByOperator(provider: Provider, url: URL): boolean {
  const { issuer, authorization_endpoint, token_endpoint, userinfo_endpoint, jwks_uri } = provider
  return [issuer, authorization_endpoint, token_endpoint, userinfo_endpoint, jwks_uri].some(
    (named) => named !== undefined && URL.canParse(named) && new URL(named).origin === url.origin,
  )
}

async function direct(
  fetch: Fetch,
  url: URL,
  { method, headers, body }: PublicRequest,
  timeoutMs: number,
): Promise<ProviderAnswer> {
  const response = await fetch(url.href, {
    method,
    headers: { accept: 'application/json', ...headers },
    ...(body !== undefined && { body }),
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
  })
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MOST) throw new Error(`larger than ${MOST} bytes`)
    chunks.push(chunk)
  }
  const maxAge = /(?:^|,)\s*max-age=(\d{1,9})\b/i.exec(response.headers.get('cache-control') ?? '')?.[1]
  return {
    status: response.status,
    body: Buffer.concat(chunks).toString('utf8'),
    type: response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '',
    maxAge: maxAge === undefined ? undefined : Number(maxAge),
  }
}
