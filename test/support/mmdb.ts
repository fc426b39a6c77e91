/** A value of an MMDB file: text, whole numbers of 32 bits, mappings, lists. */
type Value = string | number | Value[] | { [key: string]: Value }

/** One value as the format has it (MaxMind DB 2.0, "Data Section"). Sizes up to 284, which is enough for tests. */
function encode(value: Value): number[] {
  const head = (type: number, size: number): number[] => {
    const [short, rest] = size < 29 ? [size, []] : [29, [size - 29]]
    return type < 8 ? [(type << 5) | short, ...rest] : [short, type - 7, ...rest]
  }
  if (typeof value === 'string') {
    const bytes = [...new TextEncoder().encode(value)]
    return [...head(2, bytes.length), ...bytes]
  }
  if (typeof value === 'number')
    return [...head(6, 4), 24, 16, 8, 0].map((n, at) => (at === 0 ? n : (value >>> n) & 255))
  if (Array.isArray(value)) return [...head(11, value.length), ...value.flatMap(encode)]
  const entries = Object.entries(value)
  return [...head(7, entries.length), ...entries.flatMap(([key, item]) => [...encode(key), ...encode(item)])]
}

/** An MMDB file for IPv4 that knows one /24, for example `[192, 0, 2]`. */
export function mmdbFile(network: [number, number, number], record: Value): Uint8Array {
  const bits = network.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((shift) => (byte >> shift) & 1))
  const count = bits.length
  // A tree that is one path: the next node on the way, nothing (the number of nodes) beside it.
  const nodes = bits.flatMap((bit, at) => {
    const next = at + 1 < count ? at + 1 : count + 16
    const pair = bit === 0 ? [next, count] : [count, next]
    return pair.flatMap((node) => [(node >> 16) & 255, (node >> 8) & 255, node & 255])
  })
  const metadata = {
    node_count: count,
    record_size: 24,
    ip_version: 4,
    database_type: 'Test-City',
    languages: ['en'],
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 0,
    description: { en: 'test' },
  }
  const marker = [0xab, 0xcd, 0xef, ...new TextEncoder().encode('MaxMind.com')]
  return new Uint8Array([...nodes, ...Array(16).fill(0), ...encode(record), ...marker, ...encode(metadata)])
}
