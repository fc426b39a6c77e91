import { afterAll, beforeAll, expect, test } from 'bun:test'
import { cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listTables } from '../../sql/backup.ts'
import { createSql, type Sql } from '../../sql/connect.ts'
import { putSetting } from '../../sql/settings.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { rowInEveryTable } from '../support/every-table.ts'
import { latchkey, newFolder, type Outcome } from './support.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

let folder: Awaited<ReturnType<typeof newFolder>>
let source: TestDatabase
const databases: TestDatabase[] = []
let wrote: Outcome

beforeAll(async () => {
  folder = await newFolder()
  await latchkey(['config', 'generate', '-o', 'config.yaml', '--homeserver', 'example.test'], {
    cwd: folder.path,
  })
  source = await createTestDatabase()
  databases.push(source)
  const jobs = createJobs({ uri: source.uri }, SILENT)
  await jobs.enqueue(source.sql, 'sync-devices', { user_id: 'waits' })
  await jobs.enqueue(source.sql, 'deactivate-user', { user_id: 'runs', erase: true })
  await jobs.stop()
  await source.sql`update latchkey_jobs.job set state = 'active' where name = 'deactivate-user'`
  await rowInEveryTable(source.sql)
  await putSetting(source.sql, 'matrix.homeserver', 'example.test')
  wrote = await database(source, ['backup', 'good.backup'])
}, 180_000)

afterAll(async () => {
  for (const { drop } of databases) await drop()
  await folder.remove()
})

const database = ({ uri }: TestDatabase, args: string[], env: Record<string, string> = {}) =>
  latchkey(['database', ...args], { cwd: folder.path, env: { LATCHKEY_DATABASE__URI: uri, ...env } })

async function another(migrated: boolean): Promise<TestDatabase> {
  const made = await createTestDatabase({ migrated })
  databases.push(made)
  return made
}

/** The content of every table, as digests. */
async function contents(sql: Sql): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const { name } of await listTables(sql)) {
    const [row] = await sql`
      select count(*)::text || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') as digest
      from latchkey.${sql(name)} t`
    found[name] = String(row?.digest)
  }
  return found
}

const waiting = (sql: Sql) =>
  sql`select name, state::text, data from latchkey_jobs.job where name not like '\\_\\_%' order by name`.values()

test('database backup: writes one file for its owner alone, and says that the configuration belongs to it', async () => {
  expect(wrote).toMatchObject({ code: 0 })
  expect(wrote.out).toMatch(/^Wrote good\.backup: \d+ rows of \d+ tables, \d+ kB\. Only you can read it\.\n$/)
  expect(wrote.err).toContain('  users: 2')
  expect(wrote.err).toContain('secrets.encryption')
  expect((await stat(join(folder.path, 'good.backup'))).mode & 0o777).toBe(0o600)
  expect((await readdir(folder.path)).sort()).toEqual(['config.yaml', 'good.backup'])
  // The file is compressed text; none of the configuration's secrets is in it.
  const [encryption] = /[0-9a-f]{64}/.exec(await readFile(join(folder.path, 'config.yaml'), 'utf8')) ?? []
  const text = Bun.gunzipSync(await Bun.file(join(folder.path, 'good.backup')).bytes())
  expect(new TextDecoder().decode(text)).not.toContain(encryption ?? 'no secret found')
})

test('database backup: never writes over a file', async () => {
  const again = await database(source, ['backup', 'good.backup'])
  expect(again).toMatchObject({ code: 1, out: '' })
  expect(again.err).toContain('exists already')
})

test('database restore: every table and every job comes back in an empty database, which takes new rows', async () => {
  const target = await another(false)
  const restored = await database(target, ['restore', 'good.backup'])
  expect(restored).toMatchObject({ code: 0 })
  const expected = await contents(source.sql)
  expect(Object.values(expected).filter((digest) => digest.startsWith('0 '))).toEqual([])
  expect(await contents(target.sql)).toEqual(expected)
  // What ran when the backup was written has to run again.
  expect(JSON.parse(JSON.stringify(await waiting(target.sql)))).toEqual([
    ['deactivate-user', 'retry', { user_id: 'runs', erase: true }],
    ['sync-devices', 'created', { user_id: 'waits' }],
  ])
  // Counters go on behind the rows.
  const [last] = await source.sql`select max(position) as position from latchkey.policy_data`
  const columns = await target.sql`
    insert into latchkey.policy_data (id, created_at, data)
    values (${crypto.randomUUID()}, now(), '{}') returning position`
  expect(Number(columns[0]?.position)).toBe(Number(last?.position) + 1)
})

test('database restore: a database with content is refused, and replaced with --replace', async () => {
  const target = await another(true)
  // By another name than that of a running server.
  const sql = createSql({ uri: target.uri }, { max: 1, applicationName: 'test' })
  await sql`
    insert into latchkey.users (id, username, username_folded, created_at) values (${crypto.randomUUID()}, 'kept', 'kept', now())`
  const before = await contents(sql)
  const refused = await database(target, ['restore', 'good.backup'])
  expect(refused).toMatchObject({ code: 1, out: '' })
  expect(refused.err).toContain('say --replace')
  expect(await contents(sql)).toEqual(before)
  const replaced = await database(target, ['restore', '--replace', 'good.backup'])
  expect(replaced).toMatchObject({ code: 0 })
  expect(await contents(sql)).toEqual(await contents(source.sql))
  await sql.end()
})

test('database restore: while a server uses the database it is refused', async () => {
  const target = await another(true)
  // The pool of the test calls itself like that of a server.
  await target.sql`select 1`
  const held = await target.sql.reserve()
  try {
    const refused = await database(target, ['restore', '--replace', 'good.backup'])
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('stop every server and worker first')
  } finally {
    held.release()
  }
})

const spoilt: [string, (file: Uint8Array) => Uint8Array | Promise<Uint8Array>, RegExp][] = [
  ['no backup at all', () => new TextEncoder().encode('hello, this is a letter'), /is not a backup/],
  ['another compressed file', () => Bun.gzipSync('hello\nthere\n'), /is not a backup/],
  ['one that was cut off', (file) => file.subarray(0, file.length >> 1), /is damaged/],
  [
    'one whose last line is missing',
    (file) => repack(file, (text) => text.replace(/\{"end".*\n$/, '')),
    /is damaged/,
  ],
  [
    'one with another row',
    (file) => repack(file, (text) => text.replace('alice\t', 'malle\t')),
    /is damaged/,
  ],
  [
    'one of a newer format',
    (file) => repack(file, (text) => text.replace(/^latchkey-backup 1/, 'latchkey-backup 2')),
    /newer Latchkey/,
  ],
  [
    'one of a newer release',
    (file) =>
      repack(file, (text) =>
        text.replace('"migrations":[', '"migrations":[{"name":"9999_new","checksum":"00"},'),
      ),
    /newer Latchkey \(9999_new\)/,
  ],
  [
    'one of a release with another migration',
    (file) => repack(file, (text) => text.replace(/"checksum":"...../, '"checksum":"00000')),
    /0001_foundation differs/,
  ],
]

/** Changes the text of a backup. As latin1, which keeps every byte. */
function repack(file: Uint8Array, change: (text: string) => string): Uint8Array {
  const text = Buffer.from(Bun.gunzipSync(new Uint8Array(file))).toString('latin1')
  const changed = change(text)
  expect(changed).not.toBe(text)
  return Bun.gzipSync(Buffer.from(changed, 'latin1'))
}

test('database restore: what is no backup, newer or damaged is refused with one sentence, and nothing is changed', async () => {
  const target = await another(false)
  const good = await Bun.file(join(folder.path, 'good.backup')).bytes()
  for (const [what, change, sentence] of spoilt) {
    const path = join(folder.path, 'spoilt.backup')
    await writeFile(path, await change(good))
    const { code, out, err } = await database(target, ['restore', 'spoilt.backup'])
    expect([what, code, out]).toEqual([what, 1, ''])
    expect(err).toMatch(sentence)
    expect(err.trim().split('\n')).toHaveLength(2)
    await rm(path)
  }
  const schemas = await target.sql`select nspname from pg_namespace where nspname like 'latchkey%'`
  expect(schemas).toHaveLength(0)
}, 180_000)

test('database restore: the server name has to be that of the backup; another encryption secret is named', async () => {
  const target = await another(false)
  const refused = await database(target, ['restore', 'good.backup'], {
    LATCHKEY_MATRIX__HOMESERVER: 'other.test',
  })
  expect(refused).toMatchObject({ code: 1, out: '' })
  expect(refused.err).toContain('belong to example.test')
  const warned = await database(target, ['restore', 'good.backup'], {
    LATCHKEY_SECRETS__ENCRYPTION: 'ab'.repeat(32),
  })
  expect(warned).toMatchObject({ code: 0 })
  expect(warned.err).toContain('Warning: secrets.encryption is another one')
})

test('database backup: the embedded database is backed up and restored by the same commands', async () => {
  const cwd = join(folder.path, 'embedded')
  await cp(join(folder.path, 'config.yaml'), join(cwd, 'config.yaml'), { recursive: true })
  expect(await latchkey(['database', 'restore', join('..', 'good.backup')], { cwd })).toMatchObject({
    code: 0,
  })
  expect(await latchkey(['database', 'backup', 'own.backup'], { cwd })).toMatchObject({ code: 0 })
  const listed = await latchkey(['manage', 'list-users', '--json'], {
    cwd,
    env: { LATCHKEY_MATRIX__KIND: 'standalone' },
  })
  expect(listed).toMatchObject({ code: 0 })
  // The secret of the provider in it is made up.
  const said = listed.err.split('\n').filter((line) => !line.includes('"upstream.provider_unreadable"'))
  expect(said).toEqual([''])
  expect(listed.out).toContain('"alice"')
}, 180_000)
