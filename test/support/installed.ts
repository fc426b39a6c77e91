import { access, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../../src/commands/demo/install-synapse.ts'

/** Programs of other people that tests need: not of our dependencies, but beside Synapse in its cache. */

/** How long an installation may take, in milliseconds: the first run on a machine downloads. */
export const INSTALL_MS = 300_000

/** The Python of a virtual environment that has these packages; installed at the first call on a machine. */
export const installedPython = async (packages: readonly string[]): Promise<string> => {
  const directory = await installed(
    `python-${packages.join('+').replaceAll(/[^\w.=-]/g, '_')}`,
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
      await run([join(partial, 'bin', 'python'), ...pip, ...packages])
    },
  )
  return join(directory, 'bin', 'python')
}

/** A directory of the cache, made aside and moved when complete, so that there is never half of one. */
export async function installed(name: string, make: (partial: string) => Promise<void>): Promise<string> {
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

/** Runs a command to its end; gives what it printed, throws what it said when it fails. */
export async function run(command: string[], cwd?: string): Promise<string> {
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
