import { statSync } from 'node:fs'
import { codeOf, messageOf } from '../lib/thrown.ts'

/** The operator's own pages or texts can't be used: a sentence that names the key, the file and the line. */
export class OverlayError extends Error {
  override readonly name = 'OverlayError'
}

/** Makes sure that `directory`, which the key `key` names, is one. @throws OverlayError */
export function requireDirectory(key: string, directory: string): void {
  const wrong = (reason: string, cause?: unknown) =>
    new OverlayError(`${key}: ${directory} ${reason}.`, { cause })
  let isDirectory: boolean
  try {
    isDirectory = statSync(directory).isDirectory()
  } catch (cause) {
    throw wrong(`can't be read (${codeOf(cause) ?? messageOf(cause)})`, cause)
  }
  if (!isDirectory) throw wrong('is not a folder')
}

/** What the engine says of a template, in one sentence: it goes on with an excerpt of the file. */
export function templateFault(directory: string, thrown: unknown): string {
  const [line = ''] = messageOf(thrown).split('\n')
  const match = /^(.*?)\s*\(in ([^()]+):(\d+)\)$/.exec(line)
  return match ? `${directory}/${match[2]}, line ${match[3]}: ${match[1]}` : `${directory}: ${line}`
}
