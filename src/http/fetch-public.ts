// node:https and not fetch: only there can the address be checked between its resolution and the connection. A check
// before fetch() would look the name up a second time, and a hostile name server would answer differently.
import { lookup as systemLookup } from 'node:dns'
import { request } from 'node:https'
import type { LookupFunction } from 'node:net'
import { contains, type Network, parseIp, parseNetwork } from '../lib/ip.ts'
import type { ProxyOf } from './outgoing.ts'

/** Networks that a stranger's URL may not lead to: this machine, private and special ones (RFC 6890). */
const FORBIDDEN: Network[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
  '::/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/32',
  '2002::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
].map((text) => parseNetwork(text) ?? { address: new Uint8Array(16), bits: 0 })

/** Whether a host on the internet at large may have this address. */
export function isPublicAddress(text: string): boolean {
  const address = parseIp(text)
  return address !== undefined && !FORBIDDEN.some((network) => contains(network, address))
}

/** What came back. */
export interface PublicResponse {
  status: number
  body: string
  /** Media type of the body in lower case, without parameters. */
  type: string
  /** `Cache-Control: max-age` in seconds, when there is one. */
  maxAge: number | undefined
}

/** How a request is bounded. */
export interface PublicFetchOptions {
  /** Milliseconds for everything. */
  timeoutMs: number
  /** Bytes of the body. */
  maxBytes: number
  /** Which addresses may be connected to; only tests give one. */
  allows?: (address: string) => boolean
  /** Certificates to trust besides the system's; only tests give one. */
  ca?: string
  /** The proxy for an address, where one is configured. */
  proxyOf?: ProxyOf
}

/** What is asked. */
export interface PublicRequest {
  method: 'GET' | 'POST'
  headers?: Record<string, string>
  body?: string
}

/**
 * One request to an address that a stranger named, under the rules of `fetchPublic`.
 *
 * @throws Error that says which rule was broken; its text is for the log
 */
export const requestPublic = (
  url: URL,
  request: PublicRequest,
  options: PublicFetchOptions,
): Promise<PublicResponse> => send(url, request, options)

/**
 * GETs a document that a stranger named (`jwks_uri`, `request_uri`): https only, no redirect, no private address, within a
 * time and a size.
 *
 * @throws Error that says which rule was broken; its text is for the log
 */
export const fetchPublic = (url: URL, options: PublicFetchOptions): Promise<PublicResponse> =>
  send(url, { method: 'GET' }, options)

/**
 * POSTs a form to an address that a stranger named (`backchannel_logout_uri`), under the rules of `fetchPublic`. Gives
 * the status; what comes with it is not read.
 *
 * @throws Error that says which rule was broken; its text is for the log
 */
export async function postPublic(
  url: URL,
  form: Record<string, string>,
  options: Omit<PublicFetchOptions, 'maxBytes'>,
): Promise<number> {
  const request: PublicRequest & Unread = {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    unread: true,
  }
  const { status } = await send(url, request, { ...options, maxBytes: 0 })
  return status
}

/** The status is enough. */
interface Unread {
  unread?: boolean
}

function send(url: URL, sent: PublicRequest & Unread, options: PublicFetchOptions): Promise<PublicResponse> {
  const allows = options.allows ?? isPublicAddress
  if (url.protocol !== 'https:') return Promise.reject(new Error(`${url.protocol} is not https:`))
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // An address in the URL is not looked up, so the check below would not see it.
  if (parseIp(host) && !allows(host)) return Promise.reject(new Error(`${host} is not a public address`))
  const proxy = options.proxyOf?.(url)
  if (proxy !== undefined) return sendThrough(proxy, url, sent, { ...options, allows })
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: sent.method,
        lookup: guardedLookup(allows),
        headers: headersFor(sent),
        signal: AbortSignal.timeout(options.timeoutMs),
        ...(options.ca !== undefined && { ca: options.ca }),
      },
      (incoming) => {
        if (sent.unread) {
          resolve({ status: incoming.statusCode ?? 0, body: '', type: '', maxAge: undefined })
          // What breaks from here on concerns nobody.
          incoming.on('error', () => {})
          outgoing.destroy()
          return
        }
        const chunks: Uint8Array[] = []
        let size = 0
        incoming.on('data', (chunk: Uint8Array) => {
          size += chunk.length
          if (size <= options.maxBytes) return void chunks.push(chunk)
          reject(new Error(`larger than ${options.maxBytes} bytes`))
          // Without the error, which Bun was seen to hand to a stream that nobody listens to.
          outgoing.destroy()
        })
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            body: Buffer.concat(chunks).toString('utf8'),
            type: mediaTypeOf(incoming.headers['content-type']),
            maxAge: maxAgeOf(incoming.headers['cache-control']),
          }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(sent.body)
  })
}

const headersFor = ({ headers, body }: PublicRequest): Record<string, string> => ({
  accept: 'application/json',
  'accept-encoding': 'identity',
  ...headers,
  ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
})

const mediaTypeOf = (header: string | undefined): string => header?.split(';')[0]?.trim().toLowerCase() ?? ''

/**
 * The same through a proxy. It is told the address that was checked, not the name: it would look that up again, and be
 * led to a private address by a hostile name server. The certificate is checked against the name.
 */
async function sendThrough(
  proxy: string,
  url: URL,
  sent: PublicRequest & Unread,
  { allows, timeoutMs, maxBytes, ca }: PublicFetchOptions & { allows: (address: string) => boolean },
): Promise<PublicResponse> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const address = await resolveGuarded(host, allows)
  const target = new URL(url)
  target.hostname = address.includes(':') ? `[${address}]` : address
  const response = await fetch(target, {
    method: sent.method,
    headers: { ...headersFor(sent), host: url.host },
    ...(sent.body !== undefined && { body: sent.body }),
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
    proxy,
    tls: { serverName: host, ...(ca !== undefined && { ca }) },
  } as RequestInit)
  const maxAge = maxAgeOf(response.headers.get('cache-control') ?? undefined)
  if (sent.unread) {
    await response.body?.cancel()
    return { status: response.status, body: '', type: '', maxAge: undefined }
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return {
    status: response.status,
    body: Buffer.concat(chunks).toString('utf8'),
    type: mediaTypeOf(response.headers.get('content-type') ?? undefined),
    maxAge,
  }
}

const resolveGuarded = (host: string, allows: (address: string) => boolean): Promise<string> =>
  parseIp(host)
    ? Promise.resolve(host)
    : new Promise((resolve, reject) =>
        guardedLookup(allows)(host, {}, (error, address) =>
          error ? reject(error) : resolve(String(address)),
        ),
      )

/** Resolves a name and refuses it when any of its addresses is one that it may not have. */
const guardedLookup =
  (allows: (address: string) => boolean): LookupFunction =>
  (hostname, options, callback) => {
    systemLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0)
      const list = addresses as { address: string; family: number }[]
      const bad = list.find(({ address }) => !allows(address))
      const [first] = list
      if (bad || !first)
        return callback(
          new Error(`${hostname} has the address ${bad?.address ?? 'of nobody'}, which is not public`),
          '',
          0,
        )
      if (options.all) return callback(null, list as never, 0)
      callback(null, first.address, first.family)
    })
  }

function maxAgeOf(header: string | undefined): number | undefined {
  const match = /(?:^|,)\s*max-age=(\d{1,9})\b/i.exec(header ?? '')
  return match ? Number(match[1]) : undefined
}
