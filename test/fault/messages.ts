/** A message of the protocol of PostgreSQL (manual, section 54.7). */
export interface Message {
  /** One letter; empty for the first one of a client, which has none. */
  type: string
  body: Buffer
}

/** Gives the messages that are complete with each piece: a type, a length of four bytes with itself, the rest. */
export function readMessages(from: 'client' | 'server'): (piece: Uint8Array) => Message[] {
  let rest = Buffer.alloc(0)
  let head = from === 'client' ? 0 : 1
  return (piece) => {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
    const found: Message[] = []
    while (rest.length >= head + 4) {
      const end = head + rest.readUInt32BE(head)
      if (rest.length < end) break
      const type = head === 0 ? '' : String.fromCharCode(rest[0] ?? 0)
      found.push({ type, body: rest.subarray(head + 4, end) })
      rest = rest.subarray(end)
      head = 1
    }
    return found
  }
}
