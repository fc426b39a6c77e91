// node:fs: the migrations are files on disk, beside this one.
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { sha256 } from '../src/lib/digest.ts'
import { codeOf } from '../src/lib/thrown.ts'
import { sleep } from '../src/lib/waiting.ts'
import type { Sql, Tx } from './connect.ts'

/** Why a database can't be migrated: one sentence for the operator. */
export class MigrationError extends Error {
  override name = 'MigrationError'
}

/** The line of a migration before a statement that takes something away, with the migration that made it unused. */
export const CONTRACT = /^-- contract: after (\d{4}_[a-z0-9_]+)$/m

export interface MigrationOptions {
  /** Takes a line for each migration, and one when a newer release was here. */
  log?: (line: string) => void
  /** Folder of `NNNN_what.sql`; the shipped ones unless a test says otherwise. */
  directory?: string
}

interface Migration {
  version: number
  name: string
  text: string
  checksum: string
  /** It takes something away that an older release needs (`docs/upgrading.md`). */
  contract: boolean
}

const SHIPPED = fileURLToPath(new URL('./migrations/', import.meta.url))

/** "latchkey" in ASCII: the advisory lock that one migrating process holds. */
const LOCK = '7809911834306406777'

/**
 * Brings the database up to date and gives the names of what it applied. `sql` needs two connections, and should lead
 * to the server itself rather than a pooler; a transaction-mode pooler works too. Two processes may call this at the
 * same time. Throws MigrationError when the database is MAS's, newer than this code, or was migrated by other files.
 */
export async function migrate(sql: Sql, options: MigrationOptions = {}): Promise<{ applied: string[] }> {
  if (sql.options.max < 2) throw new Error('migrate() needs a pool of two connections.')
  const files = await readMigrations(options.directory)
  // Nothing is written, and nobody waited for, when there is nothing to do.
  const { todo, newer } = await compare(sql, files)
  if (newer.length > 0)
    options.log?.(
      `A newer Latchkey changed this database (${newer.join(', ')}), in a way that this release can live with.`,
    )
  if (todo.length === 0) return { applied: [] }
  const applied: string[] = []
  // The lock is held by a transaction of its own: that works behind every pooler, and an idle transaction has no
  // snapshot, so that `create index concurrently` on the other connection does not wait for it.
  await sql.begin(async (lock) => {
    await lock`set local idle_in_transaction_session_timeout = 0`
    while (!(await holds(lock))) await sleep(100)
    await prepare(sql)
    for (const migration of (await compare(sql, files)).todo) {
      await apply(sql, migration)
      options.log?.(`Applied the migration ${migration.name}.`)
      applied.push(migration.name)
    }
  })
  return { applied }
}

/** Names of the migrations that `migrate` would apply; throws MigrationError as it does. Writes nothing. */
export async function pendingMigrations(sql: Sql, options: MigrationOptions = {}): Promise<string[]> {
  return (await compare(sql, await readMigrations(options.directory))).todo.map(({ name }) => name)
}

/**
 * Makes the schema as these migrations left it, inside the caller's transaction: for a backup that comes back. Nobody can
 * read the new tables yet, so that indexes need not be made beside them. Throws MigrationError when this release does not
 * have one of them, or has it with another content.
 */
export async function recreateSchema(
  tx: Tx,
  wanted: readonly { name: string; checksum: string }[],
  options: Pick<MigrationOptions, 'directory'> = {},
): Promise<void> {
  const chosen = chooseMigrations(await readMigrations(options.directory), wanted)
  await prepare(tx)
  for (const migration of chosen) {
    await tx.unsafe(migration.text.replace(/\b(index) concurrently\b/gi, '$1'))
    await record(tx, migration)
  }
}

/** Throws MigrationError unless this release knows how to make a schema that these migrations made. Touches nothing. */
export async function requireKnownMigrations(
  wanted: readonly { name: string; checksum: string }[],
  options: Pick<MigrationOptions, 'directory'> = {},
): Promise<void> {
  chooseMigrations(await readMigrations(options.directory), wanted)
}

function chooseMigrations(
  files: readonly Migration[],
  wanted: readonly { name: string; checksum: string }[],
): Migration[] {
  for (const { name, checksum } of wanted) {
    const file = files.find((candidate) => candidate.name === name)
    if (!file)
      throw new MigrationError(`It was made by a newer Latchkey (${name}); restore it with that one.`)
    if (file.checksum !== checksum)
      throw new MigrationError(
        `It was made by a Latchkey whose migration ${name} differs from ours; restore it with the release that made it.`,
      )
  }
  return files.filter(({ name }) => wanted.some((one) => one.name === name))
}

/** Reads the files in the order of their numbers; throws when two share a number. */
async function readMigrations(directory = SHIPPED): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort()
  const migrations = await Promise.all(
    names.map(async (file): Promise<Migration> => {
      const version = /^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1]
      if (version === undefined) throw new Error(`${file} is not named like 0001_what.sql.`)
      const text = (await readFile(`${directory}/${file}`, 'utf8')).replaceAll('\r\n', '\n')
      return {
        version: Number(version),
        name: file.slice(0, -4),
        text,
        checksum: sha256(text).toHex(),
        contract: CONTRACT.test(text),
      }
    }),
  )
  for (const [index, { version, name }] of migrations.entries()) {
    if (migrations[index + 1]?.version === version)
      throw new Error(`Two migrations have the number of ${name}.`)
  }
  return migrations
}

/** What is to be applied, and what a newer release applied that this one still runs beside. */
async function compare(sql: Sql, files: Migration[]): Promise<{ todo: Migration[]; newer: string[] }> {
  const [found] = await sql`
    select to_regclass('latchkey.migrations') is not null as ours,
      to_regclass('_sqlx_migrations') is not null or to_regclass('public._sqlx_migrations') is not null as mas`
  if (found?.mas) {
    throw new MigrationError(
      'This database belongs to the Matrix Authentication Service, and nothing was written to it; give Latchkey an empty database of its own (taking over its accounts is not built yet)',
    )
  }
  if (!found?.ours) return { todo: files, newer: [] }
  // By way of JSON, since the column came later than the table. Where nothing is known, it is not to be lived with.
  const rows = await sql<{ version: number; name: string; checksum: string; contract: boolean }[]>`
    select version, name, checksum, coalesce((to_jsonb(m) ->> 'contract')::boolean, true) as contract
    from latchkey.migrations m order by version`
  const done = new Set<number>()
  const newer: string[] = []
  for (const { version, name, checksum, contract } of rows) {
    const file = files.find((candidate) => candidate.version === version)
    if (!file && !contract) {
      newer.push(name)
      continue
    }
    if (!file) {
      throw new MigrationError(
        `This database was migrated by a newer Latchkey (${name}); start that version, or restore a backup from before the upgrade.`,
      )
    }
    if (file.checksum !== checksum) {
      throw new MigrationError(
        `The migration ${name} was applied to this database with another content; install the release that it was migrated with, unchanged.`,
      )
    }
    done.add(version)
  }
  return { todo: files.filter(({ version }) => !done.has(version)), newer }
}

async function holds(lock: { unsafe: Sql['unsafe'] }): Promise<boolean> {
  const [row] = await lock.unsafe(`select pg_try_advisory_xact_lock(${LOCK}) as held`)
  return row?.held === true
}

async function prepare(sql: Sql | Tx): Promise<void> {
  try {
    // `create schema if not exists` asks for the right to create one even where it exists.
    const [schema] = await sql`select 1 from pg_namespace where nspname = 'latchkey'`
    if (!schema) await sql`create schema latchkey`
    await sql`
      create table if not exists latchkey.migrations (
        version integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now()
      )`
    await sql`alter table latchkey.migrations add column if not exists contract boolean`
  } catch (cause) {
    if (codeOf(cause) !== '42501') throw cause
    throw new MigrationError(
      'The database user may not create the schema latchkey; run as the owner of the database: grant create on database <name> to <user>',
      { cause },
    )
  }
}

/** Runs one file. With `-- no transaction` as its first line, each statement that ends a line with `;` runs alone. */
async function apply(sql: Sql, migration: Migration): Promise<void> {
  const { name, text } = migration
  try {
    if (/^-- no transaction\s*$/m.test(text.split('\n')[0] ?? '')) {
      for (const statement of text.split(/;[ \t]*$/m)) {
        if (statement.replace(/--.*$/gm, '').trim() !== '') await sql.unsafe(statement)
      }
      await record(sql, migration)
    } else {
      await sql.begin(async (tx) => {
        await tx.unsafe(text)
        await record(tx, migration)
      })
    }
  } catch (cause) {
    if (!(cause instanceof Error && cause.name === 'PostgresError')) throw cause
    throw new MigrationError(`The migration ${name} failed: ${cause.message}.`, { cause })
  }
}

const record = (on: Pick<Sql, 'unsafe'>, { version, name, checksum, contract }: Migration) =>
  on.unsafe('insert into latchkey.migrations (version, name, checksum, contract) values ($1, $2, $3, $4)', [
    version,
    name,
    checksum,
    contract,
  ])
