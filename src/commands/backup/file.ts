import { createHash } from 'node:crypto'
import type { TableShape } from '../../../sql/backup.ts'
import { CommandError } from '../context.ts'

/**
 * A backup is one gzip file: a first line that names the format, a line of JSON about where it comes from, then each
 * table: a line of JSON with its name and columns, its rows as PostgreSQL's `copy` writes them in pieces (a line with the
 * length, then so many bytes; 0 ends them), a line of JSON with how many rows there were and their SHA-256. The last line
 * says how many tables there are: a file without it was cut off.
 */
const FORMAT = 'latchkey-backup'
const FORMAT_VERSION = 1

/** Where a backup comes from. */
export interface BackupHeader {
  /** The release that wrote it. */
  latchkey: string
  created_at: string
  homeserver: string
  /** What made the schema, in order. */
  migrations: { name: string; checksum: string }[]
  /** A known text sealed under `secrets.encryption`: a restore sees whether it has the same secret. */
  sealed: string
}

/** What reading a backup gives, in the order of the file. `rows` must be read before the next part is asked for. */
export type BackupPart = { table: TableShape; rows: AsyncIterable<Uint8Array> }

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Writes the parts of a backup through `put`. */
export function backupWriter(put: (bytes: Uint8Array) => Promise<void>) {
  let tables = 0
  return {
    begin: (header: BackupHeader) => put(encode(`${FORMAT} ${FORMAT_VERSION}\n${JSON.stringify(header)}\n`)),
    /** Writes a table and gives how many rows it had. */
    async table(table: TableShape, chunks: AsyncIterable<Uint8Array>): Promise<number> {
      tables++
      await put(encode(`${JSON.stringify(table)}\n`))
      const content = tally()
      for await (const chunk of chunks) {
        if (chunk.length === 0) continue
        content.add(chunk)
        await put(encode(`${chunk.length}\n`))
        await put(chunk)
      }
      await put(encode(`0\n${JSON.stringify(content.sum())}\n`))
      return content.sum().rows
    },
    end: () => put(encode(`${JSON.stringify({ end: true, tables })}\n`)),
  }
}

/** Rows and checksum of what went by. In the text of `copy` a newline stands at the end of a row and nowhere else. */
function tally() {
  const hash = createHash('sha256')
  let rows = 0
  return {
    add(chunk: Uint8Array) {
      hash.update(chunk)
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) rows++
    },
    sum: () => ({ rows, sha256: hash.copy().digest('hex') }),
  }
}

/**
 * Opens a backup: its header, and then its parts. Throws CommandError with one sentence when the file is no backup, was
 * written by a newer release, or is damaged; the last may be seen only at its end.
 */
export async function openBackup(
  name: string,
  file: ReadableStream<Uint8Array>,
): Promise<{ header: BackupHeader; parts: AsyncGenerator<BackupPart> }> {
  const source = byteSource(file.pipeThrough(new DecompressionStream('gzip') as never), name)
  const first = await source.line(64).catch(() => '')
  const [format, version] = first.split(' ')
  if (format !== FORMAT)
    throw new CommandError(`${name} is not a backup that latchkey database backup wrote.`)
  if (Number(version) !== FORMAT_VERSION)
    throw new CommandError(`${name} was written by a newer Latchkey; restore it with that one.`)
  const header = source.json<BackupHeader>(await source.line())
  return { header, parts: partsOf(source) }
}

async function* partsOf(source: ByteSource): AsyncGenerator<BackupPart> {
  for (let tables = 0; ; tables++) {
    const part = source.json<Partial<TableShape> & { end?: boolean; tables?: number }>(await source.line())
    if (part.end === true) {
      if (part.tables !== tables || !(await source.atEnd())) throw source.damaged()
      return
    }
    const { name, columns } = part
    if (name === undefined || columns === undefined) throw source.damaged()
    const content = tally()
    let read = false
    yield {
      table: { name, columns },
      rows: (async function* () {
        for (;;) {
          const length = Number(await source.line(16))
          if (!Number.isInteger(length) || length < 0) throw source.damaged()
          if (length === 0) break
          for await (const chunk of source.bytes(length)) {
            content.add(chunk)
            yield chunk
          }
        }
        const said = source.json<{ rows: number; sha256: string }>(await source.line())
        const found = content.sum()
        if (said.rows !== found.rows || said.sha256 !== found.sha256) throw source.damaged()
        read = true
      })(),
    }
    if (!read) throw new Error(`The rows of ${name} were not read.`)
  }
}

type ByteSource = ReturnType<typeof byteSource>

/** Lines and pieces of known length from a stream. */
function byteSource(stream: ReadableStream<Uint8Array>, name: string) {
  const damaged = (cause?: unknown) =>
    new CommandError(
      `${name} is damaged: it was cut off or changed after it was written; use another backup.`,
      { cause },
    )
  const reader = stream.getReader()
  let held: Uint8Array = new Uint8Array()
  const more = async (): Promise<boolean> => {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw damaged(cause)
    })
    if (done || !value) return false
    held = held.length === 0 ? value : new Uint8Array(Buffer.concat([held, value]))
    return true
  }
  return {
    damaged,
    /** The next line, which may have `limit` bytes. */
    async line(limit = 1_000_000): Promise<string> {
      for (;;) {
        const end = held.indexOf(10)
        if (end > limit || (end < 0 && held.length > limit)) throw damaged()
        if (end >= 0) {
          const line = new TextDecoder().decode(held.subarray(0, end))
          held = held.subarray(end + 1)
          return line
        }
        if (!(await more())) throw damaged()
      }
    },
    /** The next `length` bytes, in pieces. */
    async *bytes(length: number): AsyncGenerator<Uint8Array> {
      for (let left = length; left > 0; ) {
        if (held.length === 0 && !(await more())) throw damaged()
        const piece = held.subarray(0, left)
        held = held.subarray(piece.length)
        left -= piece.length
        yield piece
      }
    },
    atEnd: async () => held.length === 0 && !(await more()),
    json<T>(line: string): T {
      try {
        return JSON.parse(line) as T
      } catch (cause) {
        throw damaged(cause)
      }
    },
  }
}
