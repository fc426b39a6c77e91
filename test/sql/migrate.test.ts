import { afterAll, beforeAll, expect, test } from 'bun:test'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSql } from '../../sql/connect.ts'
import { MigrationError, migrate, pendingMigrations } from '../../sql/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let directory = ''
const databases: TestDatabase[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'latchkey-migrations-'))
  await file(
    '0001_notes.sql',
    'create table latchkey.notes (id integer);\ninsert into latchkey.notes values (1);',
  )
  await file(
    '0002_index.sql',
    '-- no transaction\ncreate index concurrently if not exists notes_id\n  on latchkey.notes (id);\n-- done;\n',
  )
})

afterAll(async () => {
  await rm(directory, { recursive: true })
  for (const { drop } of databases) await drop()
})

const file = (name: string, text: string) => writeFile(join(directory, name), text)

async function empty(): Promise<TestDatabase> {
  const database = await createTestDatabase({ migrated: false })
  databases.push(database)
  return database
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(MigrationError)
  return error.message
}

const schemas = async ({ sql }: TestDatabase) =>
  (await sql`select nspname from pg_namespace where nspname = 'latchkey'`).length

test('migrate: applies the files in order, records them, and does nothing the second time', async () => {
  const { sql } = await empty()
  expect(await pendingMigrations(sql, { directory })).toEqual(['0001_notes', '0002_index'])
  const lines: string[] = []
  const result = await migrate(sql, { directory, log: (line) => lines.push(line) })
  expect(result.applied).toEqual(['0001_notes', '0002_index'])
  expect(lines).toEqual(['Applied the migration 0001_notes.', 'Applied the migration 0002_index.'])
  expect(await migrate(sql, { directory })).toEqual({ applied: [] })
  expect(await pendingMigrations(sql, { directory })).toEqual([])
  const rows =
    await sql`select version, name, length(checksum) as length, applied_at is not null as dated from latchkey.migrations order by 1`
  expect([...rows]).toEqual([
    { version: 1, name: '0001_notes', length: 64, dated: true },
    { version: 2, name: '0002_index', length: 64, dated: true },
  ])
})

test('migrate: two processes at once both succeed, and each file runs once', async () => {
  const { sql, uri } = await empty()
  const others = [1, 2, 3].map(() => createSql({ uri }, { max: 2 }))
  const results = await Promise.all(others.map((other) => migrate(other, { directory })))
  expect(results.flatMap(({ applied }) => applied).sort()).toEqual(['0001_notes', '0002_index'])
  expect((await sql`select id from latchkey.notes`).length).toBe(1)
  await Promise.all(others.map((other) => other.end()))
})

test('migrate: a file that fails leaves nothing of itself, and the next try goes on from there', async () => {
  const { sql } = await empty()
  await file('0003_wrong.sql', 'create table latchkey.half (id integer);\nselect 1 / 0;')
  try {
    expect(await refusal(migrate(sql, { directory }))).toBe(
      'The migration 0003_wrong failed: division by zero.',
    )
    expect(await pendingMigrations(sql, { directory })).toEqual(['0003_wrong'])
    expect((await sql`select 1 from pg_tables where tablename = 'half'`).length).toBe(0)
    await file('0003_wrong.sql', 'create table latchkey.half (id integer);')
    expect(await migrate(sql, { directory })).toEqual({ applied: ['0003_wrong'] })
  } finally {
    await rm(join(directory, '0003_wrong.sql'))
  }
})

test('migrate: an older release goes on beside what a newer one added, and stops where something was taken away', async () => {
  const { sql } = await empty()
  await migrate(sql, { directory })
  const newer = await mkdtemp(join(tmpdir(), 'latchkey-newer-'))
  try {
    await cp(directory, newer, { recursive: true })
    await writeFile(join(newer, '0003_more.sql'), 'alter table latchkey.notes add column text text;')
    expect(await migrate(sql, { directory: newer })).toEqual({ applied: ['0003_more'] })
    const lines: string[] = []
    expect(await migrate(sql, { directory, log: (line) => lines.push(line) })).toEqual({ applied: [] })
    expect(lines).toEqual([expect.stringContaining('A newer Latchkey changed this database (0003_more)')])
    expect(await pendingMigrations(sql, { directory })).toEqual([])
    await writeFile(
      join(newer, '0004_less.sql'),
      '-- Nobody reads it.\n-- contract: after 0003_more\nalter table latchkey.notes drop column id;',
    )
    expect(await migrate(sql, { directory: newer })).toEqual({ applied: ['0004_less'] })
    expect(await refusal(migrate(sql, { directory }))).toContain('newer Latchkey (0004_less)')
    expect(await refusal(pendingMigrations(sql, { directory }))).toContain('newer Latchkey (0004_less)')
    // Where a release did not say which of the two it was, it is not guessed.
    await sql`update latchkey.migrations set contract = null where version = 3`
    await sql`delete from latchkey.migrations where version = 4`
    expect(await refusal(migrate(sql, { directory }))).toContain('newer Latchkey (0003_more)')
  } finally {
    await rm(newer, { recursive: true })
  }
})

test('migrate: a database of before this was noted goes on', async () => {
  const { sql } = await empty()
  await migrate(sql, { directory })
  await sql`alter table latchkey.migrations drop column contract`
  expect(await migrate(sql, { directory })).toEqual({ applied: [] })
  await file('0003_more.sql', 'alter table latchkey.notes add column text text;')
  try {
    expect(await migrate(sql, { directory })).toEqual({ applied: ['0003_more'] })
  } finally {
    await rm(join(directory, '0003_more.sql'))
  }
})

test("migrate: MAS's own database is refused, and nothing is written to it", async () => {
  const database = await empty()
  await database.sql`create table _sqlx_migrations (version bigint)`
  expect(await refusal(migrate(database.sql, { directory }))).toContain('an empty database of its own')
  expect(await refusal(pendingMigrations(database.sql, { directory }))).toContain(
    'Matrix Authentication Service',
  )
  expect(await schemas(database)).toBe(0)
})

test('migrate: a file that changed after it was applied is refused', async () => {
  const { sql } = await empty()
  await migrate(sql, { directory })
  await sql`update latchkey.migrations set checksum = 'other' where version = 1`
  expect(await refusal(migrate(sql, { directory }))).toContain(
    '0001_notes was applied to this database with another content',
  )
})

test('migrate: a user who may not create the schema is told what to run', async () => {
  const database = await empty()
  await database.sql`create role limited_${database.sql.unsafe(database.name)} login password 'x'`
  const uri = new URL(database.uri)
  uri.username = `limited_${database.name}`
  uri.password = 'x'
  const sql = createSql({ uri: uri.toString() }, { max: 2 })
  expect(await refusal(migrate(sql, { directory }))).toContain('grant create on database')
  await sql.end()
  await database.sql`drop role limited_${database.sql.unsafe(database.name)}`
  expect(await schemas(database)).toBe(0)
})

test('migrate: the shipped migrations apply to an empty database', async () => {
  const { sql } = await empty()
  const names = await pendingMigrations(sql)
  expect(names[0]).toBe('0001_foundation')
  expect(await migrate(sql)).toEqual({ applied: names })
})
