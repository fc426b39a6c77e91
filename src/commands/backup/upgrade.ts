import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { countRows, databaseExists, listTables } from '../../../sql/backup.ts'
import { deriveSecrets } from '../../crypto/seal.ts'
import { ensureDatabase } from '../../embedded/cluster.ts'
import { type BothServers, upgradeCluster } from '../../embedded/upgrade.ts'
import { CommandError, type Context, note, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { embeddedFolder, type Loaded, load } from '../load.ts'
import { EMBEDDED_NAME } from '../open-database.ts'
import { connectForBackup, writeBackup } from './backup.ts'
import { headerOf, prepareQueue } from './command.ts'
import { restoreBackup, verifyBackup } from './restore.ts'

interface UpgradeFlags extends ConfigOnly {
  binaries?: string
}

/** `latchkey database upgrade`. */
export async function upgradeCommand(this: Context, flags: UpgradeFlags): Promise<void> {
  const loaded = await load(this, flags.config)
  if (loaded.config.database)
    throw new CommandError(
      'The database is one of your own (the configuration has a database section): upgrade PostgreSQL there, with pg_upgrade or as your system does. This command is for the embedded one.',
    )
  const directory = embeddedFolder(loaded)
  const done = await upgradeCluster({
    directory,
    binaries: flags.binaries,
    log: (line) => note(this, line),
    copy: (servers) => copyDatabase(this, loaded, servers, join(directory, 'upgrade.backup')),
  })
  if (!done) return say(this, 'The embedded database is of the installed version of PostgreSQL already.')
  say(
    this,
    `The database is of PostgreSQL ${done.to} now. That of PostgreSQL ${done.from} is kept in ${done.kept}.`,
  )
  note(this, 'Start Latchkey, and remove that folder once everything is there.')
}

/** Copies through a backup: `copy` of PostgreSQL reads what another major version wrote. */
async function copyDatabase(
  context: Context,
  loaded: Loaded,
  servers: BothServers,
  path: string,
): Promise<void> {
  const { encryption, previous_encryption } = loaded.config.secrets
  const secrets = await deriveSecrets(encryption, previous_encryption)
  const progress = (line: string) => note(context, line)
  if (!(await hasDatabase(servers))) return note(context, 'There is nothing in it yet.')
  // Those of a run that was broken off: the old database may have been in use since.
  for (const left of [path, `${path}.part`]) await rm(left, { force: true })
  const settings = { uri: servers.to(EMBEDDED_NAME) }
  const source = connectForBackup({ uri: servers.from(EMBEDDED_NAME) })
  const target = connectForBackup(settings)
  try {
    note(context, 'Reading everything…')
    await writeBackup(source, path, await headerOf(loaded, secrets), progress)
    await verifyBackup(path)
    await ensureDatabase({ uri: servers.to }, EMBEDDED_NAME)
    await prepareQueue({ settings })
    note(context, 'Writing everything…')
    await restoreBackup(target, path, () => {})
    let rows = 0
    const tables = await listTables(source)
    for (const { name } of tables) {
      const [before, after] = [await countRows(source, name), await countRows(target, name)]
      if (before !== after)
        throw new CommandError(
          `${name} had ${before} rows, and ${after} arrived. The old database is as it was, and in use.`,
        )
      rows += after
    }
    note(context, `Counted on both sides: ${rows} rows of ${tables.length} tables.`)
  } finally {
    await source.end({ timeout: 5 })
    await target.end({ timeout: 5 })
    await rm(path, { force: true })
  }
}

/** Whether a start that made the cluster also came to make its database. */
async function hasDatabase(servers: BothServers): Promise<boolean> {
  const sql = connectForBackup({ uri: servers.from('postgres') })
  try {
    return (await databaseExists(sql, EMBEDDED_NAME)).length > 0
  } finally {
    await sql.end({ timeout: 5 })
  }
}
