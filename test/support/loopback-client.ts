import { networkInterfaces } from 'node:os'
import { selfSigned } from './certificate.ts'

/** How long a test waits for the browser to come back, in milliseconds. */
const PATIENCE_MS = 30_000

/** An application's own end of the redirect: a server that really listens. */
export interface RedirectTarget {
  port: number
  /** The address of the next request for `/callback`, posted fields in its query. Rejects after 30 seconds. */
  callback(): Promise<URL>
  /** How many requests nobody has asked for yet. */
  readonly unread: number
  stop(): Promise<void>
}

/** Whether this machine can listen on `[::1]`. */
export const hasIpv6Loopback = (): boolean =>
  Object.values(networkInterfaces()).some((items) => items?.some(({ address }) => address === '::1'))

/** A native application that listens on a loopback address (RFC 8252 section 7.3) at any free port. */
export const startLoopbackClient = (hostname: '127.0.0.1' | '::1'): RedirectTarget =>
  startTarget({ hostname })

/** A web application on `https:` at `127.0.0.1`, with a certificate that it signed itself for `host`. */
export async function startHttpsClient(host: string): Promise<RedirectTarget> {
  return startTarget({ hostname: '127.0.0.1', tls: await selfSigned(host) })
}

function startTarget(options: { hostname: string; tls?: { cert: string; key: string } }): RedirectTarget {
  const arrived: URL[] = []
  const waiting: ((url: URL) => void)[] = []
  const server = Bun.serve({
    ...options,
    port: 0,
    async fetch(request) {
      const url = new URL(request.url)
      if (url.pathname !== '/callback') return new Response(null, { status: 404 })
      if (request.method === 'POST')
        for (const [name, value] of new URLSearchParams(await request.text()))
          url.searchParams.set(name, value)
      const next = waiting.shift()
      if (next) next(url)
      else arrived.push(url)
      return new Response(PAGE, { headers: { 'content-type': 'text/html; charset=utf-8' } })
    },
  })
  return {
    port: server.port ?? 0,
    get unread() {
      return arrived.length
    },
    callback() {
      const url = arrived.shift()
      if (url) return Promise.resolve(url)
      return new Promise((resolve, reject) => {
        const give = (found: URL) => {
          clearTimeout(timer)
          resolve(found)
        }
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(give), 1)
          reject(new Error(`The browser did not come back to ${server.url}callback.`))
        }, PATIENCE_MS)
        waiting.push(give)
      })
    },
    stop: () => server.stop(true),
  }
}

/** With an icon of its own, or the browser asks for one. */
const PAGE =
  '<!doctype html><html lang="en"><title>Back in the app</title><link rel="icon" href="data:,"><h1>Back in the app</h1>'
