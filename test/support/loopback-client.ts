import { networkInterfaces } from 'node:os'

/** How long a test waits for the browser to come back, in milliseconds. */
const PATIENCE_MS = 15_000

/** An application's own end of the redirect: a server that really listens. */
export interface RedirectTarget {
  port: number
  /** The address of the next request for `/callback`, posted fields in its query. Rejects after 15 seconds. */
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

/** A certificate of X.509 version 3 (RFC 5280 section 4.1) for one host, and its key, both in PEM. Good for a day. */
export async function selfSigned(host: string): Promise<{ cert: string; key: string }> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey))
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey))
  const algorithm = der(0x30, Uint8Array.fromHex('06082a8648ce3d040302')) // ecdsa-with-SHA256
  const commonName = der(0x30, Uint8Array.fromHex('0603550403'), der(0x0c, text(host)))
  const name = der(0x30, der(0x31, commonName))
  const day = 86_400_000
  const validity = der(0x30, utcTime(Date.now() - day), utcTime(Date.now() + day))
  const altNames = der(0x30, der(0x82, text(host)))
  const extension = der(0x30, Uint8Array.fromHex('0603551d11'), der(0x04, altNames))
  const body = der(
    0x30,
    Uint8Array.fromHex('a003020102'), // version 3
    der(0x02, new Uint8Array([1])), // serial number
    algorithm,
    name,
    validity,
    name,
    spki,
    der(0xa3, der(0x30, extension)),
  )
  const signature = new Uint8Array(
    await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, body),
  )
  const signed = der(0x30, body, algorithm, der(0x03, new Uint8Array([0]), ecdsaSignature(signature)))
  return { cert: pem('CERTIFICATE', signed), key: pem('PRIVATE KEY', pkcs8) }
}

/** Web Crypto gives the two numbers side by side, X.509 wants two INTEGERs. */
function ecdsaSignature(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const integer = (bytes: Uint8Array) => {
    const first = bytes.findIndex((byte) => byte !== 0)
    const trimmed = bytes.subarray(first)
    return der(0x02, ...((trimmed[0] ?? 0) & 0x80 ? [new Uint8Array([0])] : []), trimmed)
  }
  return der(0x30, integer(raw.subarray(0, 32)), integer(raw.subarray(32)))
}

/** One DER value: the tag, the length, the contents. */
function der(tag: number, ...contents: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = contents.reduce((sum, { length }) => sum + length, 0)
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return new Uint8Array([tag, ...length, ...contents.flatMap((part) => [...part])])
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const utcTime = (time: number): Uint8Array<ArrayBuffer> =>
  der(0x17, text(`${new Date(time).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

const pem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${bytes.toBase64().replace(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`
