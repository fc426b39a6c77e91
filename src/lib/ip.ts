/** IP addresses as they come from sockets, headers and the configuration: parse, compare with networks. */

/** An address as 16 bytes; IPv4 is written as IPv4-mapped IPv6, so that one form is compared. */
export type IpBytes = Uint8Array

/** The bytes of an IPv4 or IPv6 address; undefined when the text is no address. Ports and zones are not accepted. */
export function parseIp(text: string): IpBytes | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): IpBytes | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (!match) return undefined
  const bytes = new Uint8Array(16)
  bytes[10] = bytes[11] = 0xff
  for (let index = 0; index < 4; index++) {
    const part = Number(match[index + 1])
    if (part > 255) return undefined
    bytes[12 + index] = part
  }
  return bytes
}

function parseIpv6(text: string): IpBytes | undefined {
  let source = text
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(source)
  if (dotted) {
    const tail = parseIpv4(dotted[2] ?? '')
    if (!tail) return undefined
    const high = ((tail[12] ?? 0) * 256 + (tail[13] ?? 0)).toString(16)
    source = `${dotted[1]}${high}:${((tail[14] ?? 0) * 256 + (tail[15] ?? 0)).toString(16)}`
  }
  const halves = source.split('::')
  if (halves.length > 2) return undefined
  const head = groups(halves[0] ?? '')
  const tail = halves.length === 2 ? groups(halves[1] ?? '') : []
  if (!head || !tail) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const bytes = new Uint8Array(16)
  ;[...head, ...Array<number>(missing).fill(0), ...tail].forEach((group, index) => {
    bytes[index * 2] = group >> 8
    bytes[index * 2 + 1] = group & 255
  })
  return bytes
}

function groups(text: string): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  if (!parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return undefined
  return parts.map((part) => Number.parseInt(part, 16))
}

/** The canonical text of an address: dotted for IPv4 (mapped included), else the WHATWG form of IPv6. */
export function formatIp(bytes: IpBytes): string {
  if (contains(MAPPED_IPV4, bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`
  const text = Array.from({ length: 8 }, (_, i) =>
    ((bytes[i * 2] ?? 0) * 256 + (bytes[i * 2 + 1] ?? 0)).toString(16),
  )
  return new URL(`http://[${text.join(':')}]`).hostname.slice(1, -1)
}

/** A network: an address and how many of its 128 bits count. */
export interface Network {
  address: IpBytes
  bits: number
}

/** IPv4 addresses, as the bytes of all others are written. */
export const MAPPED_IPV4: Network = {
  address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0),
  bits: 96,
}

/** Parses `10.0.0.0/8`, `::1/128` or a bare address; undefined when it is none of them. */
export function parseNetwork(text: string): Network | undefined {
  const [host = '', prefix, ...rest] = text.split('/')
  const address = parseIp(host)
  if (!address || rest.length > 0) return undefined
  const width = host.includes(':') ? 128 : 32
  const bits = prefix === undefined ? width : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
  if (bits < 0 || bits > width) return undefined
  return { address, bits: bits + 128 - width }
}

/** Whether `address` lies in `network`. */
export function contains(network: Network, address: IpBytes): boolean {
  for (let bit = 0; bit < network.bits; bit += 8) {
    const mask = network.bits - bit >= 8 ? 255 : (255 << (8 - (network.bits - bit))) & 255
    const index = bit / 8
    if (((network.address[index] ?? 0) & mask) !== ((address[index] ?? 0) & mask)) return false
  }
  return true
}
