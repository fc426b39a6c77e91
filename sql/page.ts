import type { Db } from './connect.ts'

/** Which part of a list is asked for; ids are uuids, and neither `after` nor `before` is part of it. */
export interface PageBounds {
  size: number
  /** From the end of the list towards its beginning. */
  backward: boolean
  after: string | undefined
  before: string | undefined
  /** In which order the list is: as it was made, or what was last active first. */
  order?: 'id' | 'activity'
}

/** A part of a statement, made with the same `sql` that the statement is. */
export type Fragment = ReturnType<Db>

/** Conditions as a `where` clause; none gives none. */
export function where(sql: Db, conditions: readonly (Fragment | undefined)[]): Fragment {
  const given = conditions.filter((condition) => condition !== undefined)
  return given.reduce<Fragment>(
    (all, condition, index) => (index === 0 ? sql`where ${condition}` : sql`${all} and ${condition}`),
    sql``,
  )
}

/** What a list is made of: a table under an alias, and what counts as the last activity of a row, where it has one. */
export interface ListTable {
  /** `latchkey.users u`. */
  from: Fragment
  /** `u.id`. */
  id: Fragment
  activity?: Fragment
}

/** The bounds of a page. A cursor is an id in every order: where it stands is read from its row. */
export function bounds(
  sql: Db,
  { from, id, activity }: ListTable,
  page: PageBounds,
): (Fragment | undefined)[] {
  const { after, before, order } = page
  if (order === 'activity' && activity !== undefined) {
    const standing = (cursor: string) => sql`(select ${activity}, ${id} from ${from} where ${id} = ${cursor})`
    return [
      after === undefined ? undefined : sql`(${activity}, ${id}) < ${standing(after)}`,
      before === undefined ? undefined : sql`(${activity}, ${id}) > ${standing(before)}`,
    ]
  }
  return [
    after === undefined ? undefined : sql`${id} > ${after}`,
    before === undefined ? undefined : sql`${id} < ${before}`,
  ]
}

/** Order and length of a page; one row more than asked for tells that there are more. */
export function window(sql: Db, { id, activity }: ListTable, page: PageBounds): Fragment {
  const byActivity = page.order === 'activity' && activity !== undefined
  const descending = byActivity !== page.backward
  const direction = descending ? sql`desc` : sql`asc`
  const keys = byActivity ? sql`${activity} ${direction}, ${id} ${direction}` : sql`${id} ${direction}`
  return sql`order by ${keys} limit ${page.size + 1}`
}

/** A list is counted to here; how long a longer one is, is estimated: counting a million rows takes longer than the page. */
const COUNTED = 5000
/** The same where each row has to be looked for elsewhere. */
export const COUNTED_SLOWLY = 1000

/** `some` counts to one more than that; `estimate` asks the planner, and `planned` reads what it says. */
export type Counting = 'all' | 'some' | 'estimate'

/** How many rows there are; of an estimate the plan alone. */
export interface CountRow {
  count?: number
  /** There are more than were counted. */
  more?: boolean
  'QUERY PLAN'?: { Plan: { 'Plan Rows': number } }[]
}

/** Counts the rows of a table that fit. */
export function counted(
  sql: Db,
  from: Fragment,
  conditions: readonly (Fragment | undefined)[],
  how: Counting,
  most = COUNTED,
) {
  const rows = sql`from ${from} ${where(sql, conditions)}`
  if (how === 'all') return sql<CountRow[]>`select count(*)::int as count ${rows}`
  if (how === 'estimate') return sql<CountRow[]>`explain (format json) select ${rows}`
  return sql<CountRow[]>`
    select count(*)::int as count, count(*) > ${most} as more
    from (select ${rows} limit ${most + 1}) counted`
}

/** What an estimate says. */
export const planned = (row: CountRow | undefined): number => row?.['QUERY PLAN']?.[0]?.Plan['Plan Rows'] ?? 0

/** What `like` finds when a text contains another, or begins with it: `%` and `_` mean themselves. */
export const containing = (text: string): string => `%${beginning(text)}`
export const beginning = (text: string): string => `${text.replace(/[\\%_]/g, '\\$&')}%`
