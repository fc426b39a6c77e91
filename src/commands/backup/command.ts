import { stat } from 'node:fs/promises'
import packageFile from '../../../package.json' with { type: 'json' }
import type { Sql } from '../../../sql/connect.ts'
import { deriveSecrets, type Secrets } from '../../crypto/seal.ts'
import { createJobs } from '../../jobs/jobs.ts'
import { systemClock } from '../../lib/clock.ts'
import { createLog } from '../../telemetry/log.ts'
import { CommandError, type Context, note, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { type Loaded, load } from '../load.ts'
import { type Database, describeOutage, migrateDatabase, openDatabase } from '../open-database.ts'
import { connectForBackup, writeBackup } from './backup.ts'
import { requireRestorable, restoreBackup, verifyBackup } from './restore.ts'

interface RestoreFlags extends ConfigOnly {
  replace?: boolean
}

/** What stands sealed in every backup. */
const SEALED = { text: 'latchkey', context: 'backup' }

/** `latchkey database backup FILE`. */
export async function backupCommand(this: Context, flags: ConfigOnly, path: string): Promise<void> {
  await withDatabase(this, flags, {}, async ({ sql, loaded, secrets }) => {
    note(this, `Writing ${path}…`)
    const { tables, rows, bytes } = await writeBackup(sql, path, await headerOf(loaded, secrets), (line) =>
      note(this, line),
    )
    say(this, `Wrote ${path}: ${rows} rows of ${tables} tables, ${sizeOf(bytes)}. Only you can read it.`)
    note(
      this,
      'It is of use only together with the configuration: keep the files that you configured too, above all secrets.encryption and the signing keys, in another place than this backup.',
    )
  })
}

/** `latchkey database restore FILE`. */
export async function restoreCommand(this: Context, flags: RestoreFlags, path: string): Promise<void> {
  if (!(await stat(path).catch(() => undefined))?.isFile())
    throw new CommandError(`There is no file ${path}.`)
  note(this, `Checking ${path}…`)
  const header = await verifyBackup(path)
  await withDatabase(this, flags, { own: true }, async ({ sql, database, loaded, secrets }) => {
    await requireRestorable(sql, flags.replace ?? false)
    const { homeserver } = loaded.config.matrix
    if (header.homeserver !== homeserver)
      throw new CommandError(
        `The accounts of this backup belong to ${header.homeserver}, and matrix.homeserver is ${homeserver}; restore it with the configuration that belongs to it. Nothing was changed.`,
      )
    await prepareQueue(database)
    note(this, `Restoring the state of ${header.created_at}…`)
    const rows = await restoreBackup(sql, path, (line) => note(this, line))
    const applied = await migrateDatabase(database, (line) => note(this, line))
    const forward = applied.length === 0 ? '' : ` and ${applied.length} migrations since then`
    say(this, `Restored ${rows} rows of ${header.created_at}${forward}.`)
    if ((await secrets.open(header.sealed, SEALED.context)) !== SEALED.text)
      note(
        this,
        'Warning: secrets.encryption is another one than when this backup was written, so secrets of apps and of providers, signing keys of keys rotate and mail that waits can not be read. Bring the old value back, or name it in secrets.previous_encryption.',
      )
    note(
      this,
      'Apps whose newest tokens are younger than the backup sign in again. Start Latchkey, then let manage check-homeserver compare people and devices with the homeserver.',
    )
  })
}

/** Where a backup comes from. */
export const headerOf = async (loaded: Loaded, secrets: Secrets) => ({
  latchkey: packageFile.version,
  created_at: systemClock.now().toISOString(),
  homeserver: loaded.config.matrix.homeserver,
  sealed: await secrets.seal(SEALED.text, SEALED.context),
})

/** Makes the queue's tables as this release has them: they are pg-boss's own, and jobs come into them. */
export async function prepareQueue({ settings }: Pick<Database, 'settings'>): Promise<void> {
  const jobs = createJobs(settings, createLog({ json: true, level: 'warning' }))
  try {
    await jobs.prepare()
  } finally {
    await jobs.stop()
  }
}

interface Opened {
  sql: Sql
  database: Database
  loaded: Loaded
  secrets: Secrets
}

async function withDatabase(
  context: Context,
  flags: ConfigOnly,
  options: { own?: boolean },
  fn: (opened: Opened) => Promise<void>,
): Promise<void> {
  const loaded = await load(context, flags.config)
  const { encryption, previous_encryption } = loaded.config.secrets
  const secrets = await deriveSecrets(encryption, previous_encryption)
  const log = (line: string) => note(context, line)
  const database = await openDatabase(loaded, { log, signal: context.signal, ...options })
  try {
    const sql = connectForBackup(database.settings)
    try {
      await fn({ sql, database, loaded, secrets })
    } catch (error) {
      throw describeOutage(database.settings, error) ?? error
    } finally {
      await sql.end({ timeout: 5 })
    }
  } finally {
    await database.close()
  }
}

function sizeOf(bytes: number): string {
  if (bytes < 1_000_000) return `${Math.ceil(bytes / 1000)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
