import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isThere } from '../../lib/is-there.ts'
import { messageOf } from '../../lib/thrown.ts'
import { lastLines, linesOf } from './process.ts'

/** The release that the demo and the end-to-end tests run. */
export const SYNAPSE_VERSION = '1.163.2'

/** The last release without the API that `matrix.kind: synapse` needs: what tests of `synapse_legacy` run. */
export const LEGACY_SYNAPSE_VERSION = '1.135.2'

/** What pip is asked for. Old releases do not bound what they need, and break with what came after them. */
const PACKAGES = {
  [SYNAPSE_VERSION]: [`matrix-synapse==${SYNAPSE_VERSION}`],
  [LEGACY_SYNAPSE_VERSION]: [`matrix-synapse[oidc]==${LEGACY_SYNAPSE_VERSION}`, 'prometheus-client<0.22'],
}

type Release = keyof typeof PACKAGES

/** Written last, so a directory that has it is complete. */
const MARKER = 'latchkey-installed'

/** How often a long installation says that it still goes on. */
const PROGRESS_MS = 5_000

/** An installed Synapse: `python` runs it with `-m synapse.app.homeserver`. */
export interface InstalledSynapse {
  python: string
  version: string
}

/** The directory of what Latchkey downloads for demo and tests: outside the checkout, kept between runs. */
export const cacheDirectory = (environment: Record<string, string | undefined>): string =>
  join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'latchkey')

/**
 * Synapse from its Python package, in a virtual environment below `cacheDir`. The first time takes from 20 seconds
 * to some minutes and 250 MB; after that it returns at once. Throws an Error with one sentence for the person who
 * runs it.
 */
export async function installSynapse(options: {
  cacheDir: string
  log: (line: string) => void
  signal?: AbortSignal
  version?: Release
  /** Where `python3` is looked for, in the form of PATH. Default: this process's PATH. */
  searchPath?: string
}): Promise<InstalledSynapse> {
  const { cacheDir, log, version = SYNAPSE_VERSION } = options
  const name = `synapse-${version}`
  const directory = join(cacheDir, name)
  const installed = { python: join(directory, 'bin', 'python'), version }
  if (await isComplete(directory)) return installed

  const python3 = await findPython(options.searchPath)
  await mkdir(cacheDir, { recursive: true })
  await removeAbandoned(cacheDir, name)

  // Built aside and moved when complete: an interrupted installation, or two at once, never leave half of one.
  const partial = join(cacheDir, `${name}.partial-${process.pid}`)
  log(`Installing Synapse ${version} (about 250 MB, only the first time) into ${directory}`)
  try {
    await run([python3, '-m', 'venv', partial], options)
    await runPip(join(partial, 'bin', 'python'), version, options)
    await writeFile(join(partial, MARKER), `${version}\n`)
    if (!(await isComplete(directory))) {
      await rm(directory, { recursive: true, force: true })
      await rename(partial, directory)
    }
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  log(`Synapse ${version} is installed.`)
  return installed
}

const isComplete = (directory: string): Promise<boolean> => isThere(join(directory, MARKER))

/** Removes what an installation that was killed has left; one whose process still runs is left alone. */
async function removeAbandoned(cacheDir: string, name: string): Promise<void> {
  for (const entry of await readdir(cacheDir)) {
    const pid = entry.startsWith(`${name}.partial-`) ? Number(entry.split('-').at(-1)) : undefined
    if (pid && !isRunning(pid)) await rm(join(cacheDir, entry), { recursive: true, force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The path of a `python3` that can install Synapse. Throws an Error with a sentence when there is none. */
async function findPython(searchPath?: string): Promise<string> {
  const python3 = Bun.which('python3', searchPath === undefined ? {} : { PATH: searchPath })
  if (!python3) {
    throw new Error(
      'Synapse needs Python, and there is no python3 here: install Python 3.10 or later (Debian and Ubuntu: apt install python3 python3-venv), then run this again.',
    )
  }
  const script = 'import sys; assert sys.version_info >= (3, 10), "old"; import venv, ensurepip'
  const check = Bun.spawn([python3, '-c', script], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  const problem = await new Response(check.stderr).text()
  if ((await check.exited) === 0) return python3
  throw new Error(
    problem.includes('AssertionError')
      ? 'Synapse needs Python 3.10 or later, and python3 here is older: install a newer one, then run this again.'
      : 'Synapse is installed into a Python virtual environment, and python3 here cannot make one: install its venv module (Debian and Ubuntu: apt install python3-venv), then run this again.',
  )
}

type RunOptions = { log: (line: string) => void; signal?: AbortSignal }

async function runPip(python: string, version: Release, options: RunOptions): Promise<void> {
  const command = [python, '-m', 'pip', 'install', '--disable-pip-version-check', '--no-input']
  // There are wheels for Linux; elsewhere pip builds Synapse, which takes a Rust compiler.
  command.push('--prefer-binary', '--progress-bar', 'off', ...PACKAGES[version])
  let packages = 0
  const timer = setInterval(() => options.log(`  still installing: ${packages} packages found`), PROGRESS_MS)
  try {
    await run(command, options, (line) => {
      if (line.startsWith('Collecting ')) packages += 1
    })
  } catch (cause) {
    if (options.signal?.aborted) throw cause
    throw new Error(
      `Synapse ${version} could not be installed with pip. Check the network connection${process.platform === 'linux' ? '' : ' and that a Rust compiler is installed (rustup.rs)'}, then run this again. The last that pip said:\n${messageOf(cause)}`,
      { cause },
    )
  } finally {
    clearInterval(timer)
  }
}

/** Runs a command to its end; throws an Error with the last lines that it printed when it fails. */
async function run(
  command: string[],
  { signal }: RunOptions,
  onLine: (line: string) => void = () => {},
): Promise<void> {
  signal?.throwIfAborted()
  const child = Bun.spawn(command, {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    ...(signal && { signal }),
  })
  const said: string[] = []
  const keep = async (stream: ReadableStream<Uint8Array>) => {
    for await (const line of linesOf(stream)) {
      said.push(line)
      onLine(line)
    }
  }
  await Promise.all([keep(child.stdout), keep(child.stderr)])
  const code = await child.exited
  signal?.throwIfAborted()
  if (code !== 0) throw new Error(lastLines(said.join('\n'), 5))
}
