import { contains, formatIp, type Network, parseIp } from '../lib/ip.ts'

/** Who is on the other end of a socket; `undefined` for a Unix socket. Set by the server for each request. */
export type Peers = WeakMap<Request, () => string>

/**
 * The address of the client (reference operations 9, corrected): the hops that proxies wrote down, then the peer; walked
 * from the right past trusted proxies. The headers count only when the peer itself is trusted (a Unix socket is).
 * Undefined when nothing is known.
 *
 * `X-Forwarded-For` goes before `Forwarded` (RFC 7239): nearly every proxy writes it, and one that does lets a `Forwarded`
 * of the client's own pass.
 */
export function clientIp(
  peer: string | undefined,
  headers: Headers,
  trusted: readonly Network[],
): string | undefined {
  const socket = peer === undefined ? undefined : parseIp(peer)
  if (peer !== undefined && !socket) return undefined
  const isTrusted = (address: Uint8Array) => trusted.some((network) => contains(network, address))
  if (socket && !isTrusted(socket)) return formatIp(socket)
  let last = socket
  for (const hop of hops(headers).reverse()) {
    const address = parseIp(hop)
    // An item that is no address was not written by a proxy of ours: what stands left of it is hearsay.
    if (!address) break
    last = address
    if (!isTrusted(address)) break
  }
  return last && formatIp(last)
}

/** What the proxies wrote down, the nearest last. `Headers` joins several lines with commas, in order. */
function hops(headers: Headers): string[] {
  const forwardedFor = headers.get('x-forwarded-for')
  if (forwardedFor !== null) return forwardedFor.split(',').map(withoutPort)
  const forwarded = headers.get('forwarded')
  return forwarded === null ? [] : forwarded.length > LONGEST ? [''] : elements(forwarded).map(forOf)
}

/** Characters of a `Forwarded` header that are looked into. */
const LONGEST = 4096

/** An address as proxies write it: with a port, IPv6 in brackets. */
const withoutPort = (item: string): string =>
  item
    .trim()
    .replace(/^\[(.*)\](:\d+)?$/, '$1')
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')

/** The comma-separated elements of a header; a comma in quotes separates nothing (RFC 9110 section 5.6.1). */
function elements(header: string): string[] {
  const found: string[] = []
  let start = 0
  let quoted = false
  for (let at = 0; at < header.length; at++) {
    const sign = header[at]
    if (sign === '\\' && quoted) at++
    else if (sign === '"') quoted = !quoted
    else if (sign === ',' && !quoted) {
      found.push(header.slice(start, at))
      start = at + 1
    }
  }
  // A quote that nobody closed: whoever began it may have swallowed what our proxy wrote.
  if (quoted) return ['']
  found.push(header.slice(start))
  return found
}

/** The address in an element (RFC 7239 section 5.2); empty for `unknown`, for a hidden name, and where there is none. */
function forOf(element: string): string {
  const match = /(?:^|;)\s*for=(?:"([^"\\]*)"|([^\s;"]*))\s*(?:;|$)/i.exec(element)
  return withoutPort(match?.[1] ?? match?.[2] ?? '')
}
