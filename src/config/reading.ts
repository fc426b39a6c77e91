import { codeOf } from '../lib/thrown.ts'
import type { Path, Report } from './report.ts'

/** How files are read. Relative paths are up to the implementation: the working directory, as in MAS. */
export interface Files {
  /** The bytes of a file. Rejects when it can't be read. */
  readFile: (path: string) => Promise<Uint8Array>
  /** The names of the regular files of a directory (links to files count), in any order. Rejects likewise. */
  readDir: (path: string) => Promise<string[]>
}

/** What the section readers need: files, and where to report. */
export interface Reading extends Files {
  report: Report
}

/** A copy without the keys whose value is undefined, so that absent stays absent. */
export const present = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }

/** The bytes of the file that `path` (a key that ends in `_file`) names; undefined, and reported, when unreadable. */
export async function readBytes(reading: Reading, file: string, path: Path): Promise<Uint8Array | undefined> {
  try {
    return await reading.readFile(file)
  } catch (error) {
    reading.report.problem(path, `the file ${file} can't be read (${reasonOf(error)})`)
    return undefined
  }
}

/** Why a file could not be read, in words. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error)
  if (code === 'ENOENT') return 'it does not exist'
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied'
  if (code === 'EISDIR') return 'it is a directory'
  return code ?? 'unknown reason'
}

/**
 * A secret given in `key` or in the file that `key_file` names, byte for byte; undefined when neither is given.
 * Both together are a problem, and so is a file that can't be read or is empty.
 */
export async function secretBytes(
  reading: Reading,
  holder: object,
  key: string,
  path: Path,
): Promise<Uint8Array | undefined> {
  const fileKey = `${key}_file`
  const inline: unknown = Reflect.get(holder, key)
  const file: unknown = Reflect.get(holder, fileKey)
  if (inline !== undefined && file !== undefined) {
    reading.report.problem([...path, key], `and \`${fileKey}\` are both given: keep one of them`)
    return undefined
  }
  if (typeof inline === 'string') return new TextEncoder().encode(inline)
  if (typeof file !== 'string') return undefined
  const bytes = await readBytes(reading, file, [...path, fileKey])
  if (bytes?.length === 0) reading.report.problem([...path, fileKey], `the file ${file} is empty`)
  return bytes
}

/** As secretBytes, as text; what comes from a file is trimmed (decision: also where MAS does not). */
export async function secretText(
  reading: Reading,
  holder: object,
  key: string,
  path: Path,
): Promise<string | undefined> {
  const bytes = await secretBytes(reading, holder, key, path)
  if (bytes === undefined) return undefined
  const text = new TextDecoder().decode(bytes)
  if (Reflect.get(holder, `${key}_file`) === undefined) return text
  if (text.trim() === '' && bytes.length > 0) {
    reading.report.problem([...path, `${key}_file`], 'the file holds nothing but blanks')
  }
  return text.trim()
}

/** Warns when raw bytes from a file end in a line break, which then is part of the secret. */
export function warnTrailingNewline(
  reading: Reading,
  holder: object,
  key: string,
  path: Path,
  bytes: Uint8Array | undefined,
): void {
  if (Reflect.get(holder, `${key}_file`) === undefined || bytes?.at(-1) !== 0x0a) return
  reading.report.warn(
    [...path, `${key}_file`],
    'the file ends with a line break, which is part of the secret (MAS reads it the same way). ' +
      'If it was not meant, write the file without it',
  )
}
