import { listTables } from '../../sql/backup.ts'
import type { Sql } from '../../sql/connect.ts'

/** Text that is hard to carry: a tab, newlines, backslashes, quotes, several bytes a character, PostgreSQL's marks. */
const HARD = 'tab\tnew\nline \r back\\slash \\N \\. "quoted" \'too\' ü 漢 😀'

/** What a check wants of a column, for the first and the second row. */
const VALUES: Record<string, [unknown, unknown]> = {
  'users.username': ['alice', 'bob'],
  'users.deleted_at': [null, '2026-11-24 12:00:00+00'],
  'users.username_folded': ['alice', 'bob'],
  'personal_sessions.owner_client_id': [null, null],
  'email_verifications.registration_id': [null, null],
  'security_events.actor': ['self', 'admin'],
  'compat_logins.cancelled_at': [null, null],
  'device_grants.rejected_at': [null, null],
}

/** Puts two rows into every table of the schema, with something in every column that may have something. */
export async function rowInEveryTable(sql: Sql): Promise<void> {
  const parents = await sql<{ child: string; column: string; parent: string }[]>`
    select c.relname::text as child, a.attname::text as column, p.relname::text as parent
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class p on p.oid = f.confrelid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = any(f.conkey)
    where f.contype = 'f' and c.relnamespace = 'latchkey'::regnamespace`
  const types = await sql<{ table: string; column: string; type: string; counted: boolean }[]>`
    select c.relname::text as table, a.attname::text as column, format_type(a.atttypid, null) as type,
      a.attidentity <> '' as counted
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'latchkey'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped`
  const ids = new Map<string, unknown[]>()
  for (const { name, columns } of await listTables(sql)) {
    for (const row of [0, 1]) {
      const values = columns.map((column) => {
        const set = VALUES[`${name}.${column}`]
        if (set) return set[row]
        const parent = parents.find((one) => one.child === name && one.column === column)?.parent
        if (parent !== undefined) return ids.get(parent)?.[row]
        const type = types.find((one) => one.table === name && one.column === column)
        return type?.counted ? undefined : sample(type?.type ?? '', row)
      })
      const given = columns.filter((_, index) => values[index] !== undefined)
      const [made] = await sql.unsafe(
        `insert into latchkey.${name} (${given.map((column) => `"${column}"`).join(', ')})
         values (${given.map((column, index) => `$${index + 1}::text::${types.find((one) => one.table === name && one.column === column)?.type}`).join(', ')})
         returning *`,
        values.filter((value) => value !== undefined) as never[],
      )
      ids.set(name, [...(ids.get(name) ?? []), made?.id])
    }
  }
}

/** A value of a type as text. */
function sample(type: string, row: number): string {
  switch (type) {
    case 'uuid':
      return crypto.randomUUID()
    case 'boolean':
      return String(row === 0)
    case 'bytea':
      return `\\x0a5c09${crypto.randomUUID().replaceAll('-', '')}`
    case 'jsonb':
    case 'json':
      return JSON.stringify({ row, hard: HARD })
    case 'inet':
      return row === 0 ? '192.0.2.7' : '2001:db8::7'
    case 'timestamp with time zone':
      return `2026-11-24 12:00:00.12345${row}+00`
    case 'text[]':
      return row === 0 ? '{"a b","c,\\"d",NULL}' : '{}'
    case 'integer':
    case 'bigint':
    case 'smallint':
      return String(row + 1)
    case 'double precision':
    case 'numeric':
      return `${row}.25`
    case 'text':
      return `${HARD} ${row}`
    default:
      throw new Error(`No sample for the type ${type}; add one.`)
  }
}
