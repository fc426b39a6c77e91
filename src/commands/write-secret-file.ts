import { writeFile } from 'node:fs/promises'
import { codeOf } from '../lib/thrown.ts'
import { CommandError } from './context.ts'

/** Writes a file that its owner alone can read, and never over one that is there. @throws CommandError */
export async function writeSecretFile(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx' })
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') throw cause
    throw new CommandError(`${path} exists already, and its secrets may be in use; name another file.`, {
      cause,
    })
  }
}
