import { createServer, connect as dial, type Socket } from 'node:net'

/** A way to a database that can lose a connection at an exact point of a conversation. */
export interface FaultyProxy {
  uri: string
  /**
   * Lets `answers` more packets of the server through. The next one is swallowed, though the server did what was asked,
   * and every connection breaks; new ones work again.
   */
  breakAfter(answers: number): void
  /** Takes back a fault that did not happen. */
  heal(): void
  /** Packets of the server that came through. */
  answers(): number
  close(): Promise<void>
}

/**
 * Puts a proxy in front of the server of `uri`. Unlike `proxy` of the test support, which is down until it is restored,
 * this one fails once, after a commit whose answer is then lost.
 */
export async function faultyProxy(uri: string): Promise<FaultyProxy> {
  const target = new URL(uri)
  const { hostname, port } = target
  const sockets = new Set<Socket>()
  let left = Number.POSITIVE_INFINITY
  let passed = 0
  const server = createServer((client) => {
    const upstream = dial(Number(port), hostname)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    client.on('data', (data) => upstream.write(data))
    upstream.on('data', (data) => {
      if (left-- > 0) {
        passed++
        client.write(data)
        return
      }
      left = Number.POSITIVE_INFINITY
      for (const socket of sockets) socket.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('The proxy has no address.')
  target.port = String(address.port)
  return {
    uri: target.toString(),
    breakAfter: (answers) => {
      left = answers
    },
    heal: () => {
      left = Number.POSITIVE_INFINITY
    },
    answers: () => passed,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
