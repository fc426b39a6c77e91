import { createServer, request as send } from 'node:http'
import { connect } from 'node:net'

/** A forward proxy on loopback. */
export interface ForwardProxy {
  url: string
  /** What it was asked for: `CONNECT host:port` or `GET http://…`, with the credentials where some were given. */
  asked: string[]
  stop(): void
}

/** Starts one that brings everything to `port` on loopback, whatever host it is asked for. */
export async function startForwardProxy(port: number): Promise<ForwardProxy> {
  const asked: string[] = []
  const note = (what: string, credentials: string | undefined) =>
    asked.push(credentials === undefined ? what : `${what} ${credentials}`)
  const server = createServer((incoming, outgoing) => {
    note(`${incoming.method} ${incoming.url}`, incoming.headers['proxy-authorization'])
    const { pathname, search } = new URL(incoming.url ?? '')
    const onward = send(
      {
        host: '127.0.0.1',
        port,
        path: pathname + search,
        method: incoming.method,
        headers: incoming.headers,
      },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      },
    )
    incoming.pipe(onward)
  })
  server.on('connect', (incoming, socket) => {
    note(`CONNECT ${incoming.url}`, incoming.headers['proxy-authorization'])
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.pipe(socket)
      socket.pipe(onward)
    })
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the proxy does not listen')
  return { url: `http://127.0.0.1:${address.port}`, asked, stop: () => void server.close() }
}
