import { fetchLocal } from '../../http/outgoing.ts'
import type { Running } from './start-synapse.ts'

/** The largest body that passes, in bytes: Synapse's own limit for uploads, and room for a form around it. */
const MAX_BODY_BYTES = 51 * 1024 * 1024

/** The login endpoints that Latchkey serves in Synapse's place, below any version (reference 10.2). */
const COMPAT = /^\/_matrix\/client\/[^/]+\/(login|logout|refresh)(\/|$)/

/** What clients may reach of Synapse. Its admin API and the one for Latchkey are not theirs. */
const SYNAPSE = /^\/(_matrix|_synapse\/client)\//

/** Headers that belong to one connection (RFC 9110 section 7.6.1), which is not passed on. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/**
 * Plays the web server of a deployment on one port: `/.well-known/matrix/client`, the login endpoints to Latchkey,
 * the rest of `/_matrix` and `/_synapse/client` to Synapse. `latchkey` and `synapse` are base URLs. Answers are
 * streamed; bodies are read whole, as Synapse's uploads want a length.
 */
export function startFront(options: {
  port: number
  latchkey: string
  synapse: string
  serverName: string
}): Running {
  const { latchkey, synapse, serverName } = options
  const server = Bun.serve({
    port: options.port,
    hostname: '127.0.0.1',
    maxRequestBodySize: MAX_BODY_BYTES,
    // A sync waits for 30 seconds and longer before it says anything.
    idleTimeout: 255,
    async fetch(request) {
      const url = new URL(request.url)
      if (url.pathname === '/.well-known/matrix/client') return wellKnown(url.origin, latchkey)
      if (COMPAT.test(url.pathname)) return passOn(request, url, latchkey)
      if (SYNAPSE.test(url.pathname)) return passOn(request, url, synapse)
      if (url.pathname === '/')
        return plain(200, `This is the Matrix server ${serverName}. Give ${url.origin} to a Matrix client.`)
      return plain(404, 'There is nothing here. Matrix clients use the paths below /_matrix/client/.')
    },
  })
  return { url: `http://localhost:${server.port}`, stop: () => server.stop(true) }
}

const plain = (status: number, text: string): Response =>
  new Response(`${text}\n`, { status, headers: { 'content-type': 'text/plain; charset=utf-8' } })

/**
 * Where clients find the homeserver, and (MSC2965) Latchkey's issuer and account page, as its discovery document
 * says. That part is left out while Latchkey does not answer: clients then ask Synapse.
 */
async function wellKnown(origin: string, latchkey: string): Promise<Response> {
  const body: Record<string, unknown> = { 'm.homeserver': { base_url: origin } }
  try {
    const url = new URL('/.well-known/openid-configuration', latchkey)
    const response = await fetchLocal(url, { signal: AbortSignal.timeout(2_000) })
    const metadata = (await response.json()) as { issuer?: string; account_management_uri?: string }
    const { issuer, account_management_uri: account } = metadata
    if (response.ok && issuer) body['org.matrix.msc2965.authentication'] = { issuer, account }
  } catch {
    // Latchkey is down or still starting.
  }
  return Response.json(body, { headers: { 'access-control-allow-origin': '*', 'cache-control': 'no-store' } })
}

async function passOn(request: Request, url: URL, upstream: string): Promise<Response> {
  const headers = new Headers(request.headers)
  for (const name of HOP_BY_HOP) headers.delete(name)
  headers.set('x-forwarded-for', '127.0.0.1')
  headers.set('x-forwarded-host', url.host)
  headers.set('x-forwarded-proto', 'http')
  const init: BunFetchRequestInit = {
    method: request.method,
    headers,
    redirect: 'manual',
    signal: request.signal,
    // The answer goes on as it comes, still compressed, and however long it takes.
    decompress: false,
    timeout: false,
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') init.body = await request.arrayBuffer()
  try {
    const response = await fetchLocal(new URL(url.pathname + url.search, upstream), init)
    const answerHeaders = new Headers(response.headers)
    for (const name of HOP_BY_HOP) answerHeaders.delete(name)
    return new Response(response.body, { status: response.status, headers: answerHeaders })
  } catch {
    if (request.signal.aborted) return new Response(null, { status: 499 })
    const body = {
      errcode: 'M_UNKNOWN',
      error: 'The server behind this address does not answer. Try again in a moment.',
    }
    return Response.json(body, { status: 502, headers: { 'access-control-allow-origin': '*' } })
  }
}
