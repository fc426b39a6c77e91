import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  continueCounters,
  copyIn,
  dropSchema,
  emptyTables,
  hasRows,
  JOBS,
  listTables,
  otherProcesses,
  stageJobs,
  type TableShape,
  unstageJobs,
} from '../../../sql/backup.ts'
import type { Sql, Tx } from '../../../sql/connect.ts'
import { pendingMigrations, recreateSchema, requireKnownMigrations } from '../../../sql/migrate.ts'
import { messageOf } from '../../lib/thrown.ts'
import { CommandError } from '../context.ts'
import { type BackupHeader, openBackup } from './file.ts'

/**
 * Reads a whole backup without using it, so that one that is damaged is refused before anything is touched.
 *
 * @throws CommandError
 */
export async function verifyBackup(path: string): Promise<BackupHeader> {
  const { header, parts } = await openBackup(path, Bun.file(path).stream())
  await requireKnownMigrations(header.migrations).catch((error: unknown) => {
    throw new CommandError(`${path} can't be restored by this Latchkey. ${messageOf(error)}`, {
      cause: error,
    })
  })
  for await (const { rows } of parts) {
    for await (const _ of rows);
  }
  return header
}

/**
 * Throws CommandError unless a backup may come into this database: it belongs to nobody else, no Latchkey uses it, and
 * it is empty, or may be replaced.
 */
export async function requireRestorable(sql: Sql, replace: boolean): Promise<void> {
  // Refuses a database of MAS. What a newer release left can be replaced, when somebody says so.
  await pendingMigrations(sql).catch((error: unknown) => {
    if (!(replace && error instanceof Error && /newer Latchkey|another content/.test(error.message)))
      throw error
  })
  const others = await otherProcesses(sql)
  if (others.length > 0)
    throw new CommandError(
      'A running Latchkey uses this database; stop every server and worker first. Nothing was changed.',
    )
  if (replace) return
  for (const { name } of await listTables(sql)) {
    if (await hasRows(sql, name))
      throw new CommandError(
        `This database is not empty (there is something in ${name}). To put the backup in its place, say --replace: everything that is in it now is lost. Nothing was changed.`,
      )
  }
}

/**
 * Puts a verified backup in place of all that this database holds of ours, in one transaction: it is all there, or nothing
 * was changed. The queue's tables must exist. `progress` takes a line for each table. Gives the number of rows.
 *
 * @throws CommandError
 */
export async function restoreBackup(
  sql: Sql,
  path: string,
  progress: (line: string) => void,
): Promise<number> {
  return (await sql.begin(async (tx) => {
    const { header, parts } = await openBackup(path, Bun.file(path).stream())
    await dropSchema(tx)
    await recreateSchema(tx, header.migrations)
    const shapes = await listTables(tx)
    // What migrations put in is in the backup as it was then.
    await emptyTables(
      tx,
      shapes.map(({ name }) => name),
    )
    let total = 0
    for await (const { table, rows } of parts) {
      const count = await fill(await target(tx, table, shapes), rows)
      if (table.name === JOBS.name) await unstageJobs(tx)
      if (count > 0) progress(`  ${table.name}: ${count}`)
      total += count
    }
    await continueCounters(tx)
    return total
  })) as number
}

/** Where the rows of this part go. */
function target(tx: Tx, table: TableShape, shapes: readonly TableShape[]): Promise<Writable> {
  if (table.name === JOBS.name) return stageJobs(tx)
  const shape = shapes.find(({ name }) => name === table.name)
  // The names go into statements: they must be those of the schema that was just made.
  if (!shape || table.columns.some((column) => !shape.columns.includes(column)))
    throw new CommandError(`The backup has a table ${table.name} that its own migrations do not make.`)
  return copyIn(tx, table)
}

async function fill(writable: Writable, rows: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0
  await pipeline(async function* () {
    for await (const chunk of rows) {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) count++
      yield chunk
    }
  }, writable)
  return count
}
