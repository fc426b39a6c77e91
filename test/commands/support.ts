// node:child_process: Bun.spawn takes no uid and gid.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reservePort } from '../support/ports.ts'

export const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
const READY = /Latchkey is ready|"server\.ready"|"worker\.ready"/

/** How a process ended, and what it said. */
export interface Outcome {
  code: number | null
  out: string
  err: string
}

export interface Running {
  pid: number
  /** What it has said so far, on both streams. */
  said(): string
  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void
  closeStdin(): void
  ended: Promise<Outcome>
}

export interface RunOptions {
  cwd: string
  env?: Record<string, string>
  /** Text for standard input, which then ends. */
  stdin?: string
  /** The account to run under. */
  uid?: number
}

/** Only what a process needs: a variable of this machine must not become configuration. */
const ENVIRONMENT = { PATH: process.env.PATH ?? '', HOME: tmpdir() }

const running = new Set<ChildProcessWithoutNullStreams>()

/** Begins `latchkey …args`. */
export function begin(args: string[], options: RunOptions): Running {
  const { cwd, env, uid } = options
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { ...ENVIRONMENT, ...env },
    ...(uid !== undefined && { uid, gid: uid }),
  })
  running.add(child)
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    out += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    err += String(chunk)
  })
  child.stdin.on('error', () => {})
  if (options.stdin !== undefined) child.stdin.end(options.stdin)
  const ended = new Promise<Outcome>((resolve) => {
    child.on('close', (code) => {
      running.delete(child)
      resolve({ code, out, err })
    })
  })
  return {
    pid: child.pid ?? 0,
    said: () => out + err,
    kill: (signal) => child.kill(signal),
    closeStdin: () => child.stdin.end(),
    ended,
  }
}

/** Runs `latchkey …args` to its end. */
export const latchkey = (args: string[], options: RunOptions): Promise<Outcome> =>
  begin(args, { stdin: '', ...options }).ended

/** Begins a server and waits until it is ready; throws with what it said when it ends instead. */
export async function beginReady(args: string[], options: RunOptions): Promise<Running> {
  const process = begin(args, options)
  let ended = false
  void process.ended.then(() => {
    ended = true
  })
  while (!READY.test(process.said())) {
    if (ended) throw new Error(`latchkey ${args.join(' ')} ended: ${process.said()}`)
    await Bun.sleep(20)
  }
  return process
}

/** Ends what still runs, as it does after a failed test. */
export async function endAll(): Promise<void> {
  const children = [...running]
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(children.map((child) => new Promise((resolve) => child.once('close', resolve))))
}

/** A new folder that the account of the embedded PostgreSQL can enter (unless `closed`). */
export async function newFolder(closed = false): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'latchkey-commands-'))
  if (!closed) await chmod(path, 0o755)
  return {
    path,
    remove: async () => {
      const location = await readFile(join(path, 'data/postgres/location'), 'utf8').catch(() => '')
      const elsewhere = location.split('\n').find((line) => /^\/var\/lib\/latchkey\/[\w-]+$/.test(line))
      if (elsewhere) await rm(elsewhere, { recursive: true, force: true })
      await rm(path, { recursive: true, force: true })
    },
  }
}

/** Variables that move a generated configuration to a free port, where it serves `more` than the usual. */
export async function freeAddress(
  more: string[] = [],
): Promise<{ port: number; url: string; env: Record<string, string> }> {
  const port = await reservePort()
  const url = `http://localhost:${port}/`
  const resources = ['discovery', 'human', 'oauth', 'assets', 'health', ...more].map((name) => ({ name }))
  const listeners = JSON.stringify([{ name: 'web', resources, binds: [{ host: 'localhost', port }] }])
  return { port, url, env: { LATCHKEY_HTTP__PUBLIC_BASE: url, LATCHKEY_HTTP__LISTENERS: listeners } }
}

/** The pid of the embedded PostgreSQL whose data directory is `cluster`. */
export const postgresPid = async (cluster: string): Promise<number> =>
  Number((await readFile(join(cluster, 'postmaster.pid'), 'utf8')).split('\n')[0])
