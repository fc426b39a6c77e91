// node:dns and node:tls: the web platform looks up no names and shows no certificates.
import { lookup } from 'node:dns/promises'
import { connect } from 'node:tls'
import { createOutgoingFetch, type ProxyOf } from '../../http/outgoing.ts'
import { codeOf, messageOf } from '../../lib/thrown.ts'
import { CommandError } from '../context.ts'
import { printable } from '../token/authorization-server.ts'

/** Milliseconds for one request or connection. */
export const DEADLINE = 8_000

/** The largest answer that is read, in bytes: a discovery document has five thousand. */
const MAX_BYTES = 256 * 1024

/** What a server answered. */
export interface Answer {
  status: number
  headers: Headers
  /** Parsed JSON; undefined when the body is none. */
  json: unknown
}

/** A certificate as a server shows it. */
export interface Certificate {
  validTo: Date
  /** Why it is not believed; undefined when it is. */
  problem: string | undefined
}

/** How a deployment is reached from here. */
export interface Reach {
  /** Sends a request, follows no redirect, gives up after `DEADLINE`. @throws Error whose code or message says why */
  send(url: URL, init?: RequestInit): Promise<Answer>
  /** The addresses of a name. @throws Error */
  addresses(host: string): Promise<string[]>
  /** The certificate at a host and port. @throws Error */
  certificate(host: string, port: number): Promise<Certificate>
  /** How this host is reached, when not by its own name: then its name need not exist yet. */
  detour(url: URL): string | undefined
}

/** `HOST:PORT` → where it is looked for instead, as curl's `--connect-to`. */
export type Connects = ReadonlyMap<string, { host: string; port: number }>

/** Reads `--connect-to HOST:PORT:HOST:PORT`. @throws CommandError */
export function parseConnects(given: readonly string[]): Connects {
  return new Map(
    given.map((text) => {
      const [, from, host, port] = /^([^:\s]+:\d+):(\[[\da-f:.]+\]|[^:\s]+):(\d+)$/i.exec(text) ?? []
      if (from === undefined || host === undefined || port === undefined)
        throw new CommandError(
          `${text} does not say where to connect to; for example --connect-to auth.example.org:443:127.0.0.1:8443`,
        )
      return [from.toLowerCase(), { host, port: Number(port) }]
    }),
  )
}

const portOf = (url: URL): number => Number(url.port || (url.protocol === 'https:' ? 443 : 80))

/**
 * Reaches a deployment over the network. Only tests say `ca`, certificates to trust instead of the system's, and
 * `deadline` in milliseconds.
 */
export function createReach(options: {
  connects: Connects
  proxyOf: ProxyOf
  signal: AbortSignal
  ca?: string
  deadline?: number
}): Reach {
  const { connects, proxyOf, ca, deadline = DEADLINE } = options
  const outgoing = createOutgoingFetch(proxyOf)
  const limit = () => AbortSignal.any([options.signal, AbortSignal.timeout(deadline)])
  const targetOf = (url: URL) => connects.get(`${url.hostname}:${portOf(url)}`)
  return {
    async send(url, init) {
      const target = targetOf(url)
      const actual = new URL(url)
      const headers = new Headers(init?.headers)
      if (target) {
        actual.host = `${target.host}:${target.port}`
        headers.set('host', url.host)
      }
      const response = await outgoing(actual, {
        ...init,
        headers,
        redirect: 'manual',
        // Two names may lead to one address, and a kept connection was made for one of them.
        keepalive: false,
        signal: limit(),
        tls: { ...(target && { serverName: url.hostname }), ...(ca !== undefined && { ca }) },
      } as RequestInit)
      return { status: response.status, headers: response.headers, json: await readJson(response) }
    },
    addresses: async (host) =>
      (await within(lookup(host, { all: true }), limit())).map(({ address }) => address),
    certificate: (host, port) =>
      readCertificate(connects.get(`${host}:${port}`) ?? { host, port }, host, limit(), ca),
    detour(url) {
      const target = targetOf(url)
      if (target) return `${target.host}:${target.port} (--connect-to)`
      return proxyOf(url) === undefined ? undefined : 'the proxy of the configuration'
    },
  }
}

async function readJson(response: Response): Promise<unknown> {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_BYTES) return undefined
    text += decoder.decode(chunk, { stream: true })
  }
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const within = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })

function readCertificate(
  target: { host: string; port: number },
  servername: string,
  signal: AbortSignal,
  ca: string | undefined,
): Promise<Certificate> {
  const { promise, resolve, reject } = Promise.withResolvers<Certificate>()
  const socket = connect({
    host: target.host.replace(/^\[|\]$/g, ''),
    port: target.port,
    servername,
    // Looked at below: one that is not good is what we want to describe. Nothing is sent.
    rejectUnauthorized: false,
    ...(ca !== undefined && { ca }),
  })
  socket.once('secureConnect', () => {
    const { valid_to: end } = socket.getPeerCertificate()
    const { authorized, authorizationError } = socket
    const problem = authorized ? undefined : (codeOf(authorizationError) ?? String(authorizationError))
    resolve({ validTo: new Date(end), problem })
    socket.destroy()
  })
  socket.once('error', reject)
  signal.addEventListener('abort', () => {
    reject(signal.reason)
    socket.destroy()
  })
  return promise
}

/** A few words on why no answer came, without anything that a terminal would obey. */
export function whyNot(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time'
  if (error instanceof Error && error.name === 'AbortError') return 'interrupted'
  return printable(codeOf(error) ?? messageOf(error))
}
