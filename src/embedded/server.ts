// node:child_process: Bun.spawn takes no uid and gid.
import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Binaries } from './binaries.ts'
import { ClusterError } from './cluster-error.ts'
import { isAlive, type Postmaster, readPostmaster, runningPostmaster } from './postmaster.ts'
import { type Account, environment } from './run.ts'

/** Seconds for PostgreSQL to be ready: recovery after a crash may take a while. */
const START_LIMIT = 60
const LOG_LIMIT = 10_000_000

const EPHEMERAL = [
  'fsync=off',
  'synchronous_commit=off',
  'full_page_writes=off',
  'shared_buffers=64MB',
  'max_wal_size=256MB',
]

export interface ServerOptions {
  binaries: Binaries
  cluster: string
  logFile: string
  account: Account
  ephemeral: boolean
  /** The port to listen on; any free one unless given. */
  port?: number
}

/**
 * Starts PostgreSQL on a port of 127.0.0.1 and waits until it takes connections. TCP and not a Unix socket, whose
 * path may hold 107 bytes at most. Throws ClusterError with what PostgreSQL said last.
 */
export async function startServer(options: ServerOptions): Promise<Postmaster> {
  const size = (await stat(options.logFile).catch(() => undefined))?.size ?? 0
  if (size > LOG_LIMIT) await rename(options.logFile, `${options.logFile}.1`)
  for (let attempt = 1; ; attempt++) {
    const before = (await stat(options.logFile).catch(() => undefined))?.size ?? 0
    const server = await launch(options, options.port ?? (await freePort()))
    if (server) return server
    const said = (await readFile(options.logFile, 'utf8')).slice(before)
    // The port was taken meanwhile, or backends of a killed server are still going away.
    const passing = /could not bind|could not create any TCP|pre-existing shared memory block/.test(said)
    if (passing && attempt < 10) {
      await Bun.sleep(300)
      continue
    }
    const reason = said.match(/(?:FATAL|PANIC|ERROR|error):\s*(.*)/)?.[1] ?? said.trim().split('\n').at(-1)
    throw new ClusterError(
      `The embedded PostgreSQL did not start: ${reason || 'it gave no reason'} (log: ${options.logFile}).`,
    )
  }
}

async function launch(options: ServerOptions, port: number): Promise<Postmaster | undefined> {
  const { binaries, cluster, account } = options
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    'unix_socket_directories=',
    // Details of a failed statement hold people's data.
    'log_error_verbosity=terse',
    'log_parameter_max_length_on_error=0',
    ...(options.ephemeral ? EPHEMERAL : []),
  ]
  const log = await open(options.logFile, 'a', 0o600)
  // Detached: a Ctrl-C goes to the whole foreground group, and would end PostgreSQL before us.
  const child = spawn(
    join(binaries.root, 'bin', 'postgres'),
    ['-D', cluster, ...settings.flatMap((setting) => ['-c', setting])],
    { ...account, env: environment, cwd: '/', detached: true, stdio: ['ignore', log.fd, log.fd] },
  )
  let ended = false
  child.on('exit', () => {
    ended = true
  })
  child.on('error', () => {
    ended = true
  })
  child.unref()
  try {
    for (let waited = 0; waited < START_LIMIT * 50; waited++) {
      await Bun.sleep(20)
      const server = await readPostmaster(cluster)
      if (server && server.pid === child.pid && server.ready) {
        if (options.ephemeral) watch(child, cluster, account)
        return server
      }
      if (ended) return undefined
    }
    child.kill('SIGQUIT')
    return undefined
  } finally {
    await log.close()
  }
}

/**
 * Stops the server as soon as we are gone, killed or not: a shell waits for the end of a pipe that only we hold.
 */
function watch(server: ChildProcess, cluster: string, account: Account): void {
  const script = 'read -r _; read -r pid < "$2/postmaster.pid" && [ "$pid" = "$1" ] && kill -INT "$pid"'
  const child = spawn('/bin/sh', ['-c', script, 'sh', String(server.pid), cluster], {
    ...account,
    env: environment,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.unref()
  ;(child.stdin as unknown as { unref?: () => void } | null)?.unref?.()
}

/**
 * Fast shutdown: open transactions are rolled back, and the next start needs no recovery. After `seconds`, the
 * immediate one, which does.
 */
export async function stopServer(cluster: string, pid: number, seconds = 30): Promise<void> {
  for (const [signal, limit] of [
    ['SIGINT', seconds],
    ['SIGQUIT', 5],
  ] as const) {
    const server = await runningPostmaster(cluster)
    if (server?.pid !== pid) return
    process.kill(pid, signal)
    for (let waited = 0; waited < limit * 50; waited++) {
      if (!(await isAlive(pid))) return
      await Bun.sleep(20)
    }
  }
  throw new ClusterError(
    `The embedded PostgreSQL (process ${pid}) does not stop; end it with: kill -QUIT ${pid}`,
  )
}

/** A TCP port of 127.0.0.1 that nothing listens on now. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on('error', (cause) =>
      reject(
        new ClusterError(`No port of 127.0.0.1 is free for the embedded PostgreSQL (${cause.message}).`, {
          cause,
        }),
      ),
    )
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
