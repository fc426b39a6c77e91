import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../../src/commands/demo/install-synapse.ts'

/** Matrix clients of other people, as they are published: not of our dependencies, but beside Synapse in its cache. */
const PYTHON = { nio: ['matrix-nio==0.26.0'], mautrix: ['mautrix[encryption]==0.21.1'] }
const BOT_SDK = 'matrix-bot-sdk@0.8.0'

/**
 * Whether mautrix can encrypt on this machine: python-olm comes as wheels for Python 3.10 to 3.12 on Linux, and elsewhere
 * takes a C compiler and CMake.
 */
export function mautrixEncrypts(): boolean {
  const script = 'import sys; assert (3, 10) <= sys.version_info[:2] <= (3, 12) and sys.platform == "linux"'
  const python3 = Bun.which('python3')
  return python3 !== null && Bun.spawnSync([python3, '-c', script]).exitCode === 0
}

/** How long an installation may take, in milliseconds: the first run on a machine downloads. */
export const INSTALL_MS = 300_000

/** The Python of a virtual environment that has a client; installed at the first call on a machine. */
export const pythonWith = async (client: keyof typeof PYTHON): Promise<string> => {
  const directory = await installed(
    `python-${PYTHON[client].join('+').replaceAll(/[^\w.=-]/g, '_')}`,
    async (partial) => {
      await run(['python3', '-m', 'venv', partial])
      const pip = [
        '-m',
        'pip',
        'install',
        '--disable-pip-version-check',
        '--no-input',
        '--prefer-binary',
        '-q',
      ]
      await run([join(partial, 'bin', 'python'), ...pip, ...PYTHON[client]])
    },
  )
  return join(directory, 'bin', 'python')
}

/**
 * The directory of matrix-bot-sdk. Without its scripts: the one of its encryption package downloads a program, and
 * encryption is not what it is wanted for.
 */
export const botSdkDirectory = async (): Promise<string> => {
  const directory = await installed(BOT_SDK, async (partial) => {
    await mkdir(partial)
    await writeFile(join(partial, 'package.json'), '{ "private": true }\n')
    await run([process.execPath, 'add', '--ignore-scripts', '--exact', BOT_SDK], partial)
  })
  return join(directory, 'node_modules', 'matrix-bot-sdk')
}

/** Runs a script of `test/e2e/clients` to its end; gives the JSON that it printed, throws what it said when it fails. */
export async function runClient(python: string, script: string, input: object): Promise<unknown> {
  const path = join(import.meta.dirname, '..', 'e2e', 'clients', script)
  return JSON.parse(await run([python, path, JSON.stringify(input)]))
}

/** A directory of the cache, made aside and moved when complete, so that there is never half of one. */
async function installed(name: string, make: (partial: string) => Promise<void>): Promise<string> {
  const cache = cacheDirectory(process.env)
  const directory = join(cache, name)
  if (await exists(directory)) return directory
  const partial = `${directory}.partial-${process.pid}`
  await mkdir(cache, { recursive: true })
  try {
    await make(partial)
    if (!(await exists(directory))) await rename(partial, directory)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return directory
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

async function run(command: string[], cwd?: string): Promise<string> {
  const child = Bun.spawn(command, {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: INSTALL_MS,
    ...(cwd !== undefined && { cwd }),
  })
  const [out, said] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0)
    throw new Error(`${command.slice(0, 4).join(' ')} failed:\n${said.slice(-3000)}`)
  return out
}
