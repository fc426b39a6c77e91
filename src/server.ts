import { chmod, rename, rm } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { type App, createApp } from './app.ts'
import type { Config } from './config/schema.ts'
import type { Deps } from './deps.ts'
import { codeOf } from './lib/thrown.ts'
import { sleep } from './lib/waiting.ts'

type Listener = Config['http']['listeners'][number]
type Bind = Listener['binds'][number]

/** Bytes that the server reads at all; `http/params.ts` answers in words from 256 kB on. */
const MAX_BODY = 2 * 1024 * 1024
/** Seconds without a byte after which a connection is closed. */
const IDLE_TIMEOUT = 30

/** A listener could not be opened: one sentence for the operator. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** The open listeners. */
export interface Servers {
  /** Addresses such as `http://localhost:8080`. */
  addresses: string[]
  /** Stops accepting and waits for requests under way, at most `deadline` milliseconds. */
  stop(deadline: number): Promise<void>
}

/**
 * Opens every listener of the configuration. `http2: true` serves HTTP/1.1 and cleartext HTTP/2 on one port, which
 * Synapse's `force_http2` needs (decision 21).
 *
 * @throws ListenError
 */
export async function listen(deps: Deps): Promise<Servers> {
  const open: { server: Bun.Server<undefined>; address: string }[] = []
  try {
    for (const listener of deps.config.http.listeners) {
      const app = createApp(deps, listener)
      for (const bind of listener.binds.flatMap(bothLoopbacks))
        open.push(await openBind(deps, app, listener, bind))
    }
  } catch (error) {
    await Promise.all(open.map(({ server }) => server.stop(true)))
    throw error
  }
  return {
    addresses: open.map(({ address }) => address),
    async stop(deadline) {
      const drained = Promise.all(open.map(({ server }) => server.stop()))
      await Promise.race([drained, sleep(deadline)])
      await Promise.all(open.map(({ server }) => server.stop(true)))
    },
  }
}

async function openBind(
  deps: Deps,
  app: App,
  listener: Listener,
  bind: Bind,
): Promise<{ server: Bun.Server<undefined>; address: string }> {
  const shared = {
    fetch(given: Request, server: Bun.Server<undefined>) {
      const request = routable(given)
      if (!request) return text('The Host header of this request is not a host name.', 400)
      // A connection whose peer is not told must not count as a Unix socket, which is trusted with X-Forwarded-For.
      if ('port' in bind) deps.peers.set(request, () => addressOf(server, given))
      return app.handle(request)
    },
    // Or it would answer what we failed to catch with our source and paths.
    development: false,
    error(error: Error) {
      deps.log.error('request.failed', { error })
      return text('Something went wrong on this server.', 500)
    },
    maxRequestBodySize: MAX_BODY,
    // Not in Bun's types yet.
    ...({ http2: listener.tls === undefined } as object),
    ...(listener.tls && { tls: tlsOf(listener.tls) }),
  }
  const scheme = listener.tls ? 'https' : 'http'
  if ('socket' in bind) return openSocket(shared, bind.socket, bind.mode)
  const { host: hostname = '::', port } = bind
  const address = `${scheme}://${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`
  try {
    const server = Bun.serve({ ...shared, hostname, port, reusePort: false, idleTimeout: IDLE_TIMEOUT })
    return { server, address: port === 0 ? `${scheme}://${hostname}:${server.port}` : address }
  } catch (cause) {
    const code = codeOf(cause)
    const reason =
      code === 'EADDRINUSE'
        ? 'another program uses this port'
        : code === 'EACCES'
          ? 'this port needs more rights'
          : `${cause}`
    throw new ListenError(
      `Cannot listen on ${address}: ${reason}. Stop that program (it may be another Latchkey), or change http.listeners and http.public_base.`,
      { cause },
    )
  }
}

/** The address that a request came from; an IPv4 one as such, whatever the socket is. */
const addressOf = (server: Bun.Server<undefined>, request: Request): string =>
  server.requestIP(request)?.address.replace(/^::ffff:(?=\d+\.)/, '') ?? 'unknown'

/**
 * A request as the router can read it; undefined when its Host header makes no address. The router looks for the path
 * from the 11th character on, and would take `http://a/x/health` for `/health`.
 */
function routable(request: Request): Request | undefined {
  if (!URL.canParse(request.url)) return undefined
  const path = request.url.indexOf('/', 8)
  return path >= 11 ? request : new Request(`http://short.invalid${request.url.slice(path)}`, request)
}

const text = (sentence: string, status: number): Response =>
  new Response(`${sentence}\n`, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
  })

/** Bound under another name first, so that a stale socket is replaced and never met half open. */
async function openSocket(
  shared: object,
  path: string,
  mode: number | undefined,
): Promise<{ server: Bun.Server<undefined>; address: string }> {
  const temporary = `${path}.new`
  try {
    await rm(temporary, { force: true })
    const server = Bun.serve({ ...shared, unix: temporary } as never)
    if (mode !== undefined) await chmod(temporary, mode)
    await rename(temporary, path)
    return { server, address: `unix:${path}` }
  } catch (cause) {
    throw new ListenError(`Cannot listen on the socket ${path}: ${cause}.`, { cause })
  }
}

/** `localhost` means both loopback addresses: clients try either first. IPv6 may be missing on a machine. */
function bothLoopbacks(bind: Bind): Bind[] {
  if (!('port' in bind) || bind.host !== 'localhost') return [bind]
  const interfaces = Object.values(networkInterfaces()).flat()
  const hasIpv6 = interfaces.some((item) => item?.address === '::1')
  return ['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])].map((host) => ({ host, port: bind.port }))
}

function tlsOf(tls: NonNullable<Listener['tls']>): object {
  return {
    cert: tls.certificate,
    key: tls.key,
    ...(tls.password !== undefined && { passphrase: tls.password }),
  }
}
