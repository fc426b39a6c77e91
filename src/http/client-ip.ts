import { contains, formatIp, type Network, parseIp } from '../lib/ip.ts'

/**
 * Who is on the other end of a socket; none for a Unix socket. Set by the server for each request, and asked only by
 * those who need it: introspection does not, and asking costs 2 µs.
 */
export type Peers = WeakMap<Request, () => string>

/**
 * The address of the client (reference operations 9, corrected): every item of every X-Forwarded-For line,
 * trimmed, then the peer; walked from the right past trusted proxies. The header counts only when the peer itself is
 * trusted (a Unix socket is). Undefined when nothing is known.
 */
export function clientIp(
  peer: string | undefined,
  forwardedFor: string | null,
  trusted: readonly Network[],
): string | undefined {
  const socket = peer === undefined ? undefined : parseIp(peer)
  if (peer !== undefined && !socket) return undefined
  const isTrusted = (address: Uint8Array) => trusted.some((network) => contains(network, address))
  if (forwardedFor === null || (socket && !isTrusted(socket))) return socket && formatIp(socket)
  let last = socket
  // `Headers` joins several lines with commas, in order.
  for (const item of forwardedFor.split(',').reverse()) {
    const address = parseIp(
      item
        .trim()
        .replace(/^\[(.*)\](:\d+)?$/, '$1')
        .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1'),
    )
    // An item that is no address was not written by a proxy of ours: what stands left of it is hearsay.
    if (!address) break
    last = address
    if (!isTrusted(address)) break
  }
  return last && formatIp(last)
}
