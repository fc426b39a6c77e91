import { findAdminUser } from '../../../sql/admin-users.ts'
import { findUser, findUserByName, type UserRow } from '../../../sql/users.ts'
import { createDeps, type Deps } from '../../deps.ts'
import { isDirectoryAccount } from '../../identity/directory.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { jobHandlers } from '../../jobs/handlers.ts'
import { fold } from '../../lib/fold.ts'
import { uuidFromUlid } from '../../lib/ulid.ts'
import { createLog } from '../../telemetry/log.ts'
import { CommandError, type Context } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { load } from '../load.ts'
import { migrateDatabase, openDatabase, requireMigrated } from '../open-database.ts'
import { checkHomeserver } from '../prepare.ts'
import { within } from '../stopping.ts'

/** Milliseconds that a command waits for the jobs it made; a running server does the rest. */
const JOBS_LIMIT = 15_000

/**
 * Runs `fn` on the database of the configuration, then the jobs that are due, so that the homeserver hears of it even
 * when no server runs. An embedded database that does not run is started for it, and one that runs is left alone. With
 * `migrate` the database is brought up to date first. A dry run changes nothing.
 */
export async function withLatchkey<T>(
  context: Context,
  flags: ConfigOnly & { dryRun?: boolean },
  fn: (deps: Deps) => Promise<T>,
  { migrate = false }: { migrate?: boolean } = {},
): Promise<T> {
  const loaded = await load(context, flags.config)
  const log = createLog({ json: !context.isTerminal, level: 'warning' })
  await using started = new AsyncDisposableStack()
  const database = await openDatabase(loaded, {
    log: (line) => context.process.stderr.write(`${line}\n`),
    signal: context.signal,
  })
  started.defer(database.close)
  // Nobody else looks after the embedded one; any other is migrated when its operator says so.
  if (!flags.dryRun && (migrate || database.embedded)) await migrateDatabase(database, () => {})
  else await requireMigrated(database)
  const { deps } = await createDeps({ config: loaded.config, database: database.settings, log })
  started.defer(() => deps.sql.end({ timeout: 2 }))
  started.defer(() => within(5_000, deps.jobs.stop()))
  await deps.providers.refresh()
  await checkHomeserver(deps, { readOnly: flags.dryRun ?? false })
  // Awaited: otherwise everything would be closed before it is done.
  return await fn(deps)
}

/** Runs what is due; says so when the homeserver can't be told now. */
export const runJobs = (deps: Deps): Promise<void> => within(JOBS_LIMIT, deps.jobs.runDue(jobHandlers(deps)))

/**
 * The account of a name, of a Matrix id of this server, or of a `user_id` of the log, which is in capitals as no name
 * is (an imported one that looks like it is found by its Matrix id).
 *
 * @throws CommandError
 */
export async function requireUser(deps: Pick<Deps, 'config' | 'sql'>, input: string): Promise<UserRow> {
  const name = localpartOf(input, deps.config.matrix.homeserver)
  const id = input === input.toUpperCase() ? uuidFromUlid(input) : undefined
  const [user] =
    id === undefined ? await findUserByName(deps.sql, name, fold(name)) : await findUser(deps.sql, id)
  if (!user) throw new CommandError(`There is no account named ${name}.`)
  const [there] = await findAdminUser(deps.sql, user.id)
  if (!there) throw new CommandError(`${user.username} was deleted; the name stays reserved.`)
  return user
}

/** @throws CommandError for an account whose password is the directory's: one of ours would open nothing */
export async function requireOwnPassword(deps: Pick<Deps, 'config' | 'sql'>, user: UserRow): Promise<void> {
  if (await isDirectoryAccount(deps, user.id))
    throw new CommandError(
      `The directory decides about the password of ${user.username}. To take it out of the directory: latchkey ldap unlink ${user.username}`,
    )
}
