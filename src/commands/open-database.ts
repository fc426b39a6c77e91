import { createSql, directDatabase, type Sql } from '../../sql/connect.ts'
import { type DatabaseConfig, locate } from '../../sql/location.ts'
import { migrate, pendingMigrations } from '../../sql/migrate.ts'
import { CERTIFICATE_CODE, isOutage } from '../../sql/outage.ts'
import { type Cluster, ensureDatabase, startCluster } from '../embedded/cluster.ts'
import { ClusterError } from '../embedded/cluster-error.ts'
import { messageOf } from '../lib/thrown.ts'
import { CommandError } from './context.ts'
import { reasonOf } from './explain.ts'
import { embeddedFolder, type Loaded } from './load.ts'

/** The database that a command works on. */
export interface Database {
  settings: DatabaseConfig
  /** Whether it is the embedded one. */
  embedded: boolean
  /** Stops the embedded server when this process started it, or was left with it. */
  close(): Promise<void>
}

/** The name of our database in the embedded cluster. */
export const EMBEDDED_NAME = 'latchkey'
/** Half seconds that a server waits for a short command to give up the embedded cluster. */
const PATIENCE = 10

/**
 * The configured database, or else the embedded one, started if it does not run. `own`: for a server, which must not
 * live on a cluster that a short command stops when it is done. Takes progress lines in `log`.
 *
 * @throws ClusterError
 */
export async function openDatabase(
  loaded: Loaded,
  options: { log: (line: string) => void; own?: boolean; signal: AbortSignal },
): Promise<Database> {
  const { database } = loaded.config
  if (database) {
    const { pooler, min_connections: _, ...rest } = database
    const settings: DatabaseConfig = { ...rest, ...(pooler === 'transaction' && { pooler }) }
    return { settings, embedded: false, close: async () => {} }
  }
  const cluster = await openCluster(embeddedFolder(loaded), options)
  try {
    await ensureDatabase(cluster, EMBEDDED_NAME)
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return { settings: { uri: cluster.uri(EMBEDDED_NAME) }, embedded: true, close: cluster.stop }
}

async function openCluster(
  directory: string,
  { log, own = false, signal }: { log: (line: string) => void; own?: boolean; signal: AbortSignal },
): Promise<Cluster> {
  for (let waited = 0; own && waited < PATIENCE && !signal.aborted; waited++) {
    try {
      return await startCluster({ directory, log, exclusive: true, supervise: true })
    } catch (error) {
      if (!(error instanceof ClusterError && error.reason === 'in_use')) throw error
      if (waited === 0) log('Another Latchkey uses the embedded database; waiting a moment for it…')
      await Bun.sleep(500)
    }
  }
  return startCluster({ directory, log, supervise: own })
}

/** Brings the database up to date and gives the names of what was applied. @throws MigrationError, CommandError */
export const migrateDatabase = (database: Database, log: (line: string) => void): Promise<string[]> =>
  withMigrator(database, async (sql) => (await migrate(sql, { log })).applied)

/** The names of the migrations that are still to be applied. @throws MigrationError, CommandError */
export const pendingOf = (database: Database): Promise<string[]> =>
  withMigrator(database, (sql) => pendingMigrations(sql))

/** For commands that do not migrate. @throws MigrationError, CommandError when there is something to migrate */
export async function requireMigrated(database: Database): Promise<void> {
  const pending = await pendingOf(database)
  if (pending.length === 0) return
  throw new CommandError(
    `The database is not up to date (${pending.join(', ')} to apply); run: latchkey database migrate`,
  )
}

async function withMigrator<T>(database: Database, fn: (sql: Sql) => Promise<T>): Promise<T> {
  // Migrations may take long, so the server may be silent meanwhile.
  const sql = connect(directDatabase(database.settings))
  try {
    return await fn(sql)
  } catch (error) {
    throw describeOutage(database.settings, error) ?? error
  } finally {
    await sql.end({ timeout: 5 })
  }
}

function connect(settings: DatabaseConfig): Sql {
  try {
    return createSql(settings, { max: 2, applicationName: 'latchkey migrations', stallTimeout: null })
  } catch (cause) {
    // What is wrong with the URI, in a sentence already; a certificate file that is missing too.
    throw new CommandError(messageOf(cause), { cause })
  }
}

/** One sentence on why the configured database can't be used; undefined when something else went wrong. */
export function describeOutage(settings: DatabaseConfig, error: unknown): CommandError | undefined {
  const { location } = locate(settings)
  const host = location.hosts.length === 0 ? 'localhost' : location.hosts.join(', ')
  const where = location.ports.length === 0 ? host : `${host}:${location.ports[0]}`
  const code = reasonOf(error)
  const sentence: Record<string, string> = {
    '28P01': `The database at ${where} refuses the user name or password; correct the database section of the configuration.`,
    '28000': `The database at ${where} refuses this user; correct the database section of the configuration, or pg_hba.conf there.`,
    '3D000': `There is no database named ${location.database ?? '(none given)'} at ${where}; create it (createdb), or correct the database section of the configuration.`,
    '42501': `The database user lacks a right: ${messageOf(error)}; make it the owner of the database.`,
  }
  const refused = tlsRefusal(location.sslMode, code)
  const known = refused === undefined ? sentence[code] : `The database at ${where} ${refused}`
  if (known === undefined && !isOutage(error)) return undefined
  return new CommandError(
    known ??
      `The database at ${where} can't be reached (${code}); check that PostgreSQL runs there, and the database section of the configuration.`,
    { cause: error },
  )
}

/** The end of the sentence when encryption is what failed. */
function tlsRefusal(mode: DatabaseConfig['ssl_mode'], code: string): string | undefined {
  if (CERTIFICATE_CODE.test(code)) {
    return `has a certificate that can't be trusted (${code}); name the authority that issued it in database.ssl_ca_file, and the host as the certificate has it.`
  }
  const required = mode === 'require' || mode === 'verify-ca' || mode === 'verify-full'
  if (!required || code !== 'ECONNRESET') return undefined
  return `ended the connection when encryption was asked for (ssl_mode ${mode}); turn ssl on in PostgreSQL, or change database.ssl_mode.`
}
