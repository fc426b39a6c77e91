import { chmod, lstat, rename, rm } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { type App, createApp } from './app.ts'
import { diskFiles } from './config/files.ts'
import { createReport } from './config/report.ts'
import { resolveTls } from './config/resolve/http.ts'
import type { Config } from './config/schema.ts'
import { type TlsMaterial, tlsMaterial } from './crypto/certificates.ts'
import type { Deps } from './deps.ts'
import { equalBytes } from './lib/digest.ts'
import { codeOf } from './lib/thrown.ts'
import { sleep } from './lib/waiting.ts'

type Listener = Config['http']['listeners'][number]
type Bind = Listener['binds'][number]

/** Bytes that the server reads at all; `http/params.ts` answers in words from 256 kB on. */
const MAX_BODY = 12 * 1024 * 1024
/** Seconds without a byte after which a connection is closed. */
const IDLE_TIMEOUT = 30

/** A listener could not be opened: one sentence for the operator. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

type Tls = NonNullable<Listener['tls']>
type Server = Bun.Server<undefined>

/** The open listeners. */
export interface Servers {
  /** Addresses such as `http://localhost:8080`. */
  addresses: string[]
  /** From now on requests are answered with these; those under way are finished with the ones before. */
  use(deps: Deps): void
  /** Reads certificates that came from files again, and serves with those that changed; a bad one is logged and left. */
  renewCertificates(): Promise<void>
  /** Stops accepting and waits for requests under way, at most `deadline` milliseconds. */
  stop(deadline: number): Promise<void>
}

/** One address that is listened on. */
interface Opened {
  address: string
  /** The servers of this address: the one that listens, and those before it that still answer somebody. */
  servers: Set<Server>
  /** From now on with another certificate. Requests under way are finished with the old one. */
  renew(tls: TlsMaterial): Promise<void>
  close?(): Promise<void>
}

/**
 * Opens every listener of the configuration. `http2: true` serves HTTP/1.1 and HTTP/2 on one port, in clear text too,
 * which Synapse's `force_http2` needs (decision 21).
 *
 * @throws ListenError, KeyError
 */
export async function listen(deps: Deps, { sharePorts = false } = {}): Promise<Servers> {
  const opened: Opened[] = []
  const renewals: (() => Promise<void>)[] = []
  const apps: { app: App; listener: Listener }[] = []
  const stop = async () => {
    await Promise.all(opened.flatMap(({ servers }) => [...servers].map((server) => server.stop(true))))
    await Promise.all(opened.map(({ close }) => close?.()))
  }
  try {
    for (const [index, listener] of deps.config.http.listeners.entries()) {
      const served = { app: createApp(deps, listener), listener }
      apps.push(served)
      const name = `http.listeners.${index}.tls`
      const tls = listener.tls && tlsMaterial(listener.tls, name)
      const ours: Opened[] = []
      for (const bind of listener.binds.flatMap(bothLoopbacks)) {
        const one = await openBind(deps, served, bind, tls, sharePorts)
        ours.push(one)
        opened.push(one)
      }
      if (listener.tls) renewals.push(renewal(deps, listener.tls, name, ours))
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    addresses: opened.map(({ address }) => address),
    use(next) {
      const fresh = apps.map(({ listener }) => createApp(next, listener))
      for (const [index, served] of apps.entries()) served.app = fresh[index] ?? served.app
    },
    async renewCertificates() {
      for (const renew of renewals) await renew()
    },
    async stop(deadline) {
      const drained = Promise.all(
        opened.flatMap(({ servers }) => [...servers].map((server) => server.stop())),
      )
      await Promise.race([drained, sleep(deadline)])
      await stop()
    },
  }
}

/** Reads the files of a certificate again, and gives the listener what changed. */
function renewal(deps: Deps, first: Tls, name: string, ours: readonly Opened[]): () => Promise<void> {
  let known: Pick<Tls, 'certificate' | 'key' | 'password'> = first
  return async () => {
    try {
      const report = createReport(() => 'the files')
      const found = await resolveTls(first.source, name.split('.'), { ...diskFiles, report })
      const [problem] = report.problems
      if (problem !== undefined) throw new ListenError(`${problem}.`)
      const same =
        found.certificate === known.certificate &&
        found.password === known.password &&
        equalBytes(found.key, known.key)
      if (same) return
      const material = tlsMaterial(found, name)
      for (const one of ours) await one.renew(material)
      known = found
      deps.log.info('certificate.renewed', { name, addresses: ours.map(({ address }) => address).join(' ') })
    } catch (error) {
      deps.log.error('certificate.renewal_failed', { name, error })
    }
  }
}

/** `served` is looked at for each request: what it has may be replaced. */
async function openBind(
  deps: Deps,
  served: { readonly app: App },
  bind: Bind,
  tls: TlsMaterial | undefined,
  sharePorts: boolean,
): Promise<Opened> {
  const options = {
    fetch(given: Request, server: Server) {
      const request = routable(given)
      if (!request) return text('The Host header of this request is not a host name.', 400)
      // A connection whose peer is not told must not count as a Unix socket, which is trusted with X-Forwarded-For.
      if ('port' in bind) deps.peers.set(request, () => addressOf(server, given))
      return served.app.handle(request)
    },
    // Or it would answer what we failed to catch with our source and paths.
    development: false,
    error(error: Error) {
      deps.log.error('request.failed', { error })
      return text('Something went wrong on this server.', 500)
    },
    maxRequestBodySize: MAX_BODY,
    // Not in Bun's types yet.
    ...({ http2: true } as object),
  }
  return 'socket' in bind
    ? openSocket(options, bind.socket, bind.mode, tls)
    : openPort(options, bind, tls, sharePorts)
}

type Options = Parameters<typeof Bun.serve<undefined>>[0]

function openPort(
  options: object,
  bind: Extract<Bind, { port: number }>,
  tls: TlsMaterial | undefined,
  sharePorts: boolean,
): Opened {
  const { host: hostname = '::' } = bind
  const scheme = tls ? 'https' : 'http'
  const written = hostname.includes(':') ? `[${hostname}]` : hostname
  const serve = (port: number, material: TlsMaterial | undefined): Server =>
    Bun.serve({
      ...options,
      ...(material && { tls: material }),
      hostname,
      port,
      reusePort: sharePorts,
      idleTimeout: IDLE_TIMEOUT,
    } as Options)
  let server: Server
  try {
    server = serve(bind.port, tls)
  } catch (cause) {
    throw portError(`${scheme}://${written}:${bind.port}`, cause)
  }
  const port = server.port ?? bind.port
  const servers = new Set([server])
  let current = tls
  return {
    address: `${scheme}://${written}:${port}`,
    servers,
    async renew(material) {
      const before = server
      // Bun takes no new certificate for an open server (tried on 1.4.5). The port is free as soon as this returns, and
      // requests under way go on.
      void before.stop().then(() => servers.delete(before))
      try {
        server = serve(port, material)
        current = material
      } catch (error) {
        server = serve(port, current)
        throw error
      } finally {
        servers.add(server)
      }
    },
  }
}

/**
 * Tells before several processes share the ports of the configuration whether they are free: once shared, another
 * Latchkey would get a part of the requests, and nobody would see why.
 *
 * @throws ListenError
 */
export async function checkPorts(config: Config): Promise<void> {
  const binds = config.http.listeners.flatMap((listener) => listener.binds).flatMap(bothLoopbacks)
  for (const bind of binds) {
    if ('socket' in bind) continue
    const { servers } = openPort({ fetch: () => new Response() }, bind, undefined, false)
    for (const server of servers) await server.stop(true)
  }
}

function portError(address: string, cause: unknown): ListenError {
  const code = codeOf(cause)
  const reason =
    code === 'EADDRINUSE'
      ? 'another program uses this port'
      : code === 'EACCES'
        ? 'this port needs more rights'
        : `${cause}`
  return new ListenError(
    `Cannot listen on ${address}: ${reason}. Stop that program (it may be another Latchkey), or change http.listeners and http.public_base.`,
    { cause },
  )
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

/**
 * Bound under another name first, so that a stale socket is replaced and never met half open. On stop the socket is
 * removed, unless another process has put its own there meanwhile.
 */
async function openSocket(
  options: object,
  path: string,
  mode: number | undefined,
  tls: TlsMaterial | undefined,
): Promise<Opened> {
  const temporary = `${path}.${process.pid}`
  let inode: bigint | undefined
  const bind = async (material: TlsMaterial | undefined): Promise<Server> => {
    await rm(temporary, { force: true })
    const server = Bun.serve({
      ...options,
      ...(material && { tls: material }),
      unix: temporary,
    } as unknown as Options)
    try {
      if (mode !== undefined) await chmod(temporary, mode)
      inode = (await lstat(temporary, { bigint: true })).ino
      await rename(temporary, path)
      return server
    } catch (error) {
      await server.stop(true)
      throw error
    }
  }
  const there = await lstat(path).catch(() => undefined)
  if (there && !there.isSocket())
    throw new ListenError(`Cannot listen on the socket ${path}: there is something else at this path.`)
  let server: Server
  try {
    server = await bind(tls)
  } catch (cause) {
    throw new ListenError(`Cannot listen on the socket ${path}: ${codeOf(cause) ?? cause}.`, { cause })
  }
  const servers = new Set([server])
  return {
    address: `unix:${path}`,
    servers,
    async renew(material) {
      const before = server
      server = await bind(material)
      servers.add(server)
      void before.stop().then(() => servers.delete(before))
    },
    async close() {
      const left = await lstat(path, { bigint: true }).catch(() => undefined)
      if (left?.ino === inode) await rm(path, { force: true })
    },
  }
}

/** `localhost` means both loopback addresses: clients try either first. IPv6 may be missing on a machine. */
function bothLoopbacks(bind: Bind): Bind[] {
  if (!('port' in bind) || bind.host !== 'localhost') return [bind]
  const interfaces = Object.values(networkInterfaces()).flat()
  const hasIpv6 = interfaces.some((item) => item?.address === '::1')
  return ['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])].map((host) => ({ host, port: bind.port }))
}
