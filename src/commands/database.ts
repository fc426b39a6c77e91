import { type Context, say } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'
import { type Database, migrateDatabase, openDatabase, pendingOf } from './open-database.ts'

/** `latchkey database migrate`. */
export async function migrateCommand(this: Context, flags: ConfigOnly): Promise<void> {
  const applied = await withDatabase(this, flags, (database) =>
    migrateDatabase(database, (line) => say(this, line)),
  )
  if (applied.length === 0) say(this, 'The database was up to date already.')
}

/** `latchkey database status`. */
export async function statusCommand(this: Context, flags: ConfigOnly): Promise<void> {
  const pending = await withDatabase(this, flags, pendingOf)
  if (pending.length === 0) say(this, 'The database is up to date.')
  else
    say(
      this,
      `To be applied by the next start, or by latchkey database migrate:\n${pending.map((name) => `  ${name}`).join('\n')}`,
    )
}

async function withDatabase<T>(
  context: Context,
  flags: ConfigOnly,
  fn: (database: Database) => Promise<T>,
): Promise<T> {
  const loaded = await load(context, flags.config)
  const database = await openDatabase(loaded, { log: (line) => say(context, line), signal: context.signal })
  try {
    return await fn(database)
  } finally {
    await database.close()
  }
}
