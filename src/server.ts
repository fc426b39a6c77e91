import { chmod, rename, rm } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { type App, createApp } from './app.ts'
import type { Config } from './config/load.ts'
import type { Deps } from './deps.ts'

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
export async function listen(deps: Deps, options: { reusePort?: boolean } = {}): Promise<Servers> {
  const open: { server: Bun.Server<undefined>; address: string }[] = []
  try {
    for (const listener of deps.config.http.listeners) {
      const app = createApp(deps, listener)
      for (const bind of listener.binds.flatMap(bothLoopbacks))
        open.push(await openBind(deps, app, listener, bind, options.reusePort ?? false))
    }
  } catch (error) {
    await Promise.all(open.map(({ server }) => server.stop(true)))
    throw error
  }
  return {
    addresses: open.map(({ address }) => address),
    async stop(deadline) {
      const drained = Promise.all(open.map(({ server }) => server.stop()))
      await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, deadline))])
      await Promise.all(open.map(({ server }) => server.stop(true)))
    },
  }
}

async function openBind(
  deps: Deps,
  app: App,
  listener: Listener,
  bind: Bind,
  reusePort: boolean,
): Promise<{ server: Bun.Server<undefined>; address: string }> {
  const shared = {
    fetch(request: Request, server: Bun.Server<undefined>) {
      const peer = server.requestIP(request)
      if (peer) deps.peers.set(request, peer.address.replace(/^::ffff:(?=\d+\.)/, ''))
      return app.handle(request)
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
    const server = Bun.serve({ ...shared, hostname, port, reusePort, idleTimeout: IDLE_TIMEOUT })
    return { server, address: port === 0 ? `${scheme}://${hostname}:${server.port}` : address }
  } catch (cause) {
    const code = (cause as { code?: string }).code
    const reason =
      code === 'EADDRINUSE'
        ? 'another program uses this port'
        : code === 'EACCES'
          ? 'this port needs more rights'
          : `${cause}`
    throw new ListenError(
      `Cannot listen on ${address}: ${reason}. Stop that program, or change http.listeners.`,
      { cause },
    )
  }
}

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
