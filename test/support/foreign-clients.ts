import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installed, installedPython, run } from './installed.ts'

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

/** The Python of a virtual environment that has a client; installed at the first call on a machine. */
export const pythonWith = (client: keyof typeof PYTHON): Promise<string> => installedPython(PYTHON[client])

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
