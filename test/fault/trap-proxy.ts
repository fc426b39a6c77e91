import { createServer, connect as dial, type Socket } from 'node:net'

/** A statement at which something happens: as the client sends it, or as the server has answered it. */
export interface Trap {
  at: 'sent' | 'answered'
  /** What the text of the statement has. */
  text: RegExp
  /** What its values have (`sent`), or its values or the rows of its answer (`answered`). */
  about: string
}

/** A way to PostgreSQL that reads along, and stands still where a trap is. */
export interface TrapProxy {
  /** The address of the database by this way. */
  uri: string
  close(): Promise<void>
}

/**
 * Puts the proxy in front of the server of `uri`, which must not use TLS. `caught` is asked at every statement; when it
 * says yes, neither the statement nor its answer is passed on, and every connection ends.
 */
export async function trapProxy(
  uri: string,
  caught: (moment: Trap['at'], text: string, about: string) => boolean,
): Promise<TrapProxy> {
  const target = new URL(uri)
  const { hostname, port } = target
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = dial(Number(port), hostname)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    /** The statement under way, its values and its rows: the driver sends them one after the other. */
    let text = ''
    let about = ''
    const spring = (moment: Trap['at']): boolean => {
      if (!caught(moment, text, about)) return false
      for (const socket of sockets) socket.destroy()
      return true
    }
    const asked = messages(true)
    const answered = messages(false)
    client.on('data', (data: Buffer) => {
      for (const { type, body } of asked(data)) {
        // Parse (a name, then the text) and Query begin a statement; Bind has its values (PostgreSQL manual, 54.7).
        if (type === 'P') text = body.slice(body.indexOf('\0') + 1)
        if (type === 'Q') text = body
        if (type === 'P' || type === 'Q') about = ''
        if (type === 'B') about += body
        if ((type === 'B' || type === 'Q') && spring('sent')) return
      }
      upstream.write(data)
    })
    upstream.on('data', (data: Buffer) => {
      for (const { type, body } of answered(data)) {
        if (type === 'D') about += body
        if (type === 'Z' && spring('answered')) return
      }
      client.write(data)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('The proxy has no address.')
  target.port = String(address.port)
  return {
    uri: target.toString(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** Gives the messages that are complete with each piece. The first one of a client has no type. */
function messages(fromClient: boolean): (piece: Buffer) => { type: string; body: string }[] {
  let rest = Buffer.alloc(0)
  let head = fromClient ? 0 : 1
  return (piece) => {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
    const found: { type: string; body: string }[] = []
    while (rest.length >= head + 4) {
      const end = head + rest.readUInt32BE(head)
      if (rest.length < end) break
      const type = head === 0 ? '' : String.fromCharCode(rest[0] ?? 0)
      found.push({ type, body: rest.toString('latin1', head + 4, end) })
      rest = rest.subarray(end)
      head = 1
    }
    return found
  }
}
