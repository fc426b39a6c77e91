import { describe, expect, test } from 'bun:test'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { breaksOlder } from './expand-contract.ts'

const MIGRATIONS = join(import.meta.dirname, '..', '..', 'sql', 'migrations')

/** The last one before the first release that others run: what came until then may do as it likes. */
const BASELINE = '0060_response_type'

const BREAKS: [string, RegExp][] = [
  ['drop table latchkey.users', /drops what/],
  ['drop table if exists latchkey.users cascade', /drops what/],
  ['drop function latchkey.f()', /drops what/],
  ['drop type latchkey.state', /drops what/],
  ['alter table latchkey.users drop column locale', /drops a column/],
  ['alter table latchkey.users drop locale', /drops a column/],
  ['alter table latchkey.users add column a text, drop column b', /drops a column/],
  ['alter table latchkey.users rename column a to b', /renames/],
  ['alter table only latchkey.users rename to people', /renames/],
  ['ALTER TABLE latchkey.users\n  RENAME a TO b', /renames/],
  ['alter table latchkey.users alter column a type bigint', /type/],
  ['alter table latchkey.users alter a set data type bigint using a::bigint', /type/],
  ['alter table latchkey.users alter column a set not null', /demands a value/],
  ['alter table latchkey.users alter column a drop default', /drops a default/],
  ['alter table latchkey.users add column a text not null', /not null without a default/],
  ['alter table latchkey.users add a text collate "C" not null', /not null without a default/],
  ['alter table latchkey.users add column a text, add column b text not null', /not null without a default/],
  ['alter table latchkey.users add constraint c check (a > 0)', /adds a rule/],
  ['alter table latchkey.users add unique (a)', /adds a rule/],
  ['create unique index u on latchkey.users (a)', /makes unique/],
  ['create unique index concurrently if not exists u on latchkey.users (a)', /makes unique/],
  ['create index i on latchkey.users (a)', /while nobody can write/],
  ['delete from latchkey.users where a is null', /removes rows/],
  ['truncate latchkey.users', /removes rows/],
]

const FINE = [
  'create table latchkey.notes (id uuid primary key, text text not null); create unique index n on latchkey.notes (text);',
  'create table latchkey.notes (id uuid);\nalter table latchkey.notes add constraint c check (id is not null);',
  'alter table latchkey.users add column a text;',
  "alter table latchkey.users add column a text not null default '';",
  "alter table latchkey.users add column a text default '' not null;",
  'alter table latchkey.users add column a integer generated always as (1) stored not null;',
  'alter table latchkey.users alter column a drop not null;',
  'alter table latchkey.users drop constraint c;',
  'alter table latchkey.users alter column a set default 1;',
  '-- no transaction\ncreate index concurrently if not exists i on latchkey.users (a);\ndrop index concurrently if exists latchkey.j;',
  "update latchkey.users set a = 'drop table';",
  '-- drop table latchkey.users\nselect 1;',
]

describe('a migration that an older release runs beside', () => {
  test.each(BREAKS)('is not: %s', (statement, sentence) => {
    expect(breaksOlder(`${statement};`, []).join('\n')).toMatch(sentence)
  })

  test.each(FINE)('is: %s', (text) => {
    expect(breaksOlder(text, [])).toEqual([])
  })

  test('takes something away only after an earlier migration that it names', () => {
    const text = '-- contract: after 0001_unused\ndrop table latchkey.users;\n'
    expect(breaksOlder(text, ['0001_unused'])).toEqual([])
    expect(breaksOlder(text, [])).toEqual([
      'There is no earlier migration 0001_unused: drop table latchkey.users',
    ])
    // For that one statement.
    expect(breaksOlder(`${text}drop table latchkey.clients;`, ['0001_unused'])).toHaveLength(1)
  })
})

test('sql/migrations: an older release still runs beside each of them (expand, then contract; docs/upgrading.md)', async () => {
  const names = (await readdir(MIGRATIONS)).sort().map((file) => file.slice(0, -4))
  const problems: string[] = []
  for (const [index, name] of names.entries()) {
    if (name <= BASELINE) continue
    const text = await readFile(join(MIGRATIONS, `${name}.sql`), 'utf8')
    problems.push(...breaksOlder(text, names.slice(0, index)).map((sentence) => `${name}: ${sentence}`))
  }
  expect(names).toContain(BASELINE)
  expect(problems).toEqual([])
})
