/** What a load found. */
export interface LoadResult {
  requests: number
  seconds: number
  /** Milliseconds of each request. */
  latencies: number[]
}

export interface LoadOptions {
  port: number
  connections: number
  requests: number
  /** The next request of a connection, as it goes over the wire. */
  next(connection: number): string
  /** The status of a right answer; 200 without. */
  status?: number
  /** Takes the body of each answer. */
  answered?(connection: number, body: string): void
}

/** Seconds after which a load is given up. */
const LIMIT = 120

/**
 * Sends `requests` requests over keep-alive connections of HTTP/1.1 on loopback, one at a time on each, and measures
 * them. Plain sockets and not `fetch`: the load shares its two cores with what it measures, and a client as heavy as
 * the server would hide the server. Throws at the first answer with another status.
 */
export function load(options: LoadOptions): Promise<LoadResult> {
  const { promise, resolve, reject } = Promise.withResolvers<LoadResult>()
  const latencies: number[] = []
  const sockets: Bun.Socket[] = []
  let sent = 0
  let failed = false
  const started = performance.now()
  const finish = (error?: Error) => {
    clearTimeout(timer)
    failed ||= error !== undefined
    for (const socket of sockets) socket.end()
    if (error) reject(error)
    else resolve({ requests: latencies.length, seconds: (performance.now() - started) / 1000, latencies })
  }
  const timer = setTimeout(() => finish(new Error(`No end after ${LIMIT} seconds.`)), LIMIT * 1000)

  for (let connection = 0; connection < options.connections; connection++) {
    let text = ''
    let since = 0
    const send = (socket: Bun.Socket) => {
      if (sent >= options.requests) return
      sent++
      since = performance.now()
      socket.write(options.next(connection))
    }
    Bun.connect({
      hostname: '127.0.0.1',
      port: options.port,
      socket: {
        open(socket) {
          sockets.push(socket)
          send(socket)
        },
        data(socket, chunk) {
          text += chunk.toString('latin1')
          const answer = readAnswer(text)
          if (!answer) return
          latencies.push(performance.now() - since)
          text = ''
          if (answer.status !== (options.status ?? 200))
            return finish(new Error(`${answer.status}: ${answer.body.slice(0, 500)}`))
          options.answered?.(connection, answer.body)
          if (latencies.length === options.requests) finish()
          else send(socket)
        },
        close() {
          if (!failed && latencies.length < options.requests)
            finish(new Error('The server closed a connection.'))
        },
        error: (_, error) => finish(error),
      },
    }).catch(reject)
  }
  return promise
}

/** A complete answer with a Content-Length; undefined when more is to come. */
function readAnswer(text: string): { status: number; body: string } | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1]
  if (length === undefined) throw new Error(`An answer without Content-Length: ${text.slice(0, end)}`)
  const body = text.slice(end + 4)
  return body.length < Number(length) ? undefined : { status: Number(text.slice(9, 12)), body }
}

/** A POST of a form, as it goes over the wire. */
export const formPost = (path: string, form: string, headers = ''): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n${headers}content-length: ${form.length}\r\n\r\n${form}`

/** A POST of JSON in ASCII, as it goes over the wire. */
export const jsonPost = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

/** A GET, as it goes over the wire; each line of `headers` with its end. */
export const get = (path: string, headers = ''): string =>
  `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n`
