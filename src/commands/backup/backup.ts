// node:fs: the file is made for its owner alone, and synced to the disk before it gets its name.
import { open, rename, rm, stat } from 'node:fs/promises'
import {
  appliedMigrations,
  copyJobsOut,
  copyOut,
  JOBS,
  listTables,
  queueExists,
} from '../../../sql/backup.ts'
import { createSql, directDatabase, type Sql } from '../../../sql/connect.ts'
import type { DatabaseConfig } from '../../../sql/location.ts'
import { pendingMigrations } from '../../../sql/migrate.ts'
import { codeOf } from '../../lib/thrown.ts'
import { CommandError } from '../context.ts'
import { type BackupHeader, backupWriter } from './file.ts'

/** A pool for a backup or a restore: the server may be silent for long. */
export const connectForBackup = (settings: DatabaseConfig): Sql =>
  createSql(directDatabase(settings), { max: 2, applicationName: 'latchkey backup', stallTimeout: null })

/**
 * Writes everything that the database holds of ours into a new file that its owner alone can read: every table in one
 * snapshot, while servers go on. `progress` takes a line for each table. Gives tables, rows and the size of the file.
 *
 * @throws CommandError
 */
export async function writeBackup(
  sql: Sql,
  path: string,
  about: Omit<BackupHeader, 'migrations'>,
  progress: (line: string) => void,
): Promise<{ tables: number; rows: number; bytes: number }> {
  if (await stat(path).catch(() => undefined)) {
    throw new CommandError(`${path} exists already; a backup is never written over another file.`)
  }
  // Refuses a database that is not ours.
  await pendingMigrations(sql).catch((error: unknown) => {
    // One that a newer release migrated can be backed up all the same: the file says so.
    if (!(error instanceof Error && /newer Latchkey/.test(error.message))) throw error
  })
  const draft = `${path}.part`
  const file = await open(draft, 'wx', 0o600).catch((cause: unknown) => {
    if (codeOf(cause) !== 'EEXIST') throw cause
    throw new CommandError(
      `${draft} exists: another backup is writing it, or one was broken off; remove it then.`,
      { cause },
    )
  })
  try {
    const gzip = new CompressionStream('gzip')
    const sink = gzip.writable.getWriter()
    const written = (async () => {
      let bytes = 0
      for await (const chunk of gzip.readable as unknown as AsyncIterable<Uint8Array>) {
        await file.write(chunk)
        bytes += chunk.length
      }
      return bytes
    })()
    // Awaited at the end; until then a full disk must not be an unhandled rejection.
    written.catch(() => {})
    const content = await sql.begin('isolation level repeatable read read only', async (tx) => {
      const migrations = await appliedMigrations(tx)
      if (migrations.length === 0)
        throw new CommandError('There is nothing to back up: the database is empty.')
      const writer = backupWriter((bytes) => Promise.race([sink.write(bytes as never), failed(written)]))
      await writer.begin({
        ...about,
        migrations: migrations.map(({ name, checksum }) => ({ name, checksum })),
      })
      let rows = 0
      const tables = await listTables(tx)
      for (const table of tables) {
        const count = await writer.table(table, await copyOut(tx, table))
        if (count > 0) progress(`  ${table.name}: ${count}`)
        rows += count
      }
      if (await queueExists(tx)) {
        const count = await writer.table(JOBS, await copyJobsOut(tx))
        if (count > 0) progress(`  ${JOBS.name}: ${count}`)
        rows += count
      }
      await writer.end()
      return { tables: tables.length, rows }
    })
    await sink.close()
    const bytes = await written
    await file.sync()
    await file.close()
    await rename(draft, path)
    return { ...content, bytes }
  } catch (error) {
    await file.close().catch(() => {})
    await rm(draft, { force: true })
    throw error
  }
}

/** Rejects as soon as the file can't be written; never resolves. */
const failed = (written: Promise<unknown>): Promise<never> =>
  new Promise((_, reject) => {
    written.catch(reject)
  })
