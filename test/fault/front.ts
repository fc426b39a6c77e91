import { createServer, connect as dial, type Socket } from 'node:net'

/** How a service behaves: refuses connections, takes them and says nothing, says what nobody understands. */
export type Mood = 'well' | 'down' | 'silent' | 'nonsense'

/** What stands before a service, so that its clients meet every kind of trouble with it. */
export interface Front {
  port: number
  become(mood: Mood): Promise<void>
  close(): Promise<void>
}

/** Good HTTP, which is no answer of a homeserver, and no SMTP at all. */
const NONSENSE =
  'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 37\r\nconnection: close\r\n\r\n<!doctype html><title>Welcome</title>'

/** Puts it before the service at `target` of 127.0.0.1. */
export async function createFront(target: number): Promise<Front> {
  const sockets = new Set<Socket>()
  let mood: Mood = 'well'
  const keep = (socket: Socket, other?: Socket) => {
    sockets.add(socket)
    socket.on('error', () => other?.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      other?.destroy()
    })
  }
  const server = createServer((client) => {
    if (mood === 'well') {
      const upstream = dial(target, '127.0.0.1')
      keep(client, upstream)
      keep(upstream, client)
      client.pipe(upstream).pipe(client)
      return
    }
    keep(client)
    client.resume()
    if (mood === 'nonsense') client.end(NONSENSE)
  })
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
  const close = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy()
      if (server.listening) server.close(() => resolve())
      else resolve()
    })
  await listen(0)
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('The front has no address.')
  const { port } = address
  return {
    port,
    async become(next) {
      mood = next
      await close()
      if (next !== 'down') await listen(port)
    },
    close,
  }
}
