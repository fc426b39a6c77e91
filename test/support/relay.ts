import { createServer, connect as dial, type Socket } from 'node:net'

/** A TCP way to a server, with what is between left to who makes it. */
export interface Relay {
  /** The address of the server by this way. */
  uri: string
  /** Sockets that are open, on both sides. */
  open(): number
  /** Ends every connection; new ones are taken. */
  drop(): void
  /** Ends every connection and refuses new ones. */
  close(): Promise<void>
  /** Takes connections again, at the same address. */
  reopen(): Promise<void>
}

/**
 * Puts a relay in front of the server of `uri`, which must not use TLS where somebody reads along. `join` is called with
 * both ends of each connection and passes on what comes; where one end closes, the other one is closed here.
 */
export async function startRelay(
  uri: string,
  join: (client: Socket, server: Socket) => void,
): Promise<Relay> {
  const target = new URL(uri)
  const { hostname, port: targetPort } = target
  const sockets = new Set<Socket>()
  const listener = createServer((client) => {
    const server = dial(Number(targetPort), hostname)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    join(client, server)
  })
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      listener.once('error', reject)
      listener.listen(port, '127.0.0.1', resolve)
    })
  const drop = () => {
    for (const socket of sockets) socket.destroy()
  }
  await listen(0)
  const address = listener.address()
  if (typeof address !== 'object' || !address) throw new Error('The relay has no address.')
  const { port } = address
  target.port = String(port)
  return {
    uri: target.toString(),
    open: () => sockets.size,
    drop,
    close: () =>
      new Promise((resolve) => {
        if (!listener.listening) return resolve()
        listener.close(() => resolve())
        drop()
      }),
    reopen: async () => {
      if (!listener.listening) await listen(port)
    },
  }
}
