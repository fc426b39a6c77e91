import type { Db } from './connect.ts'

/** Which part of a list is asked for; ids are uuids, and neither `after` nor `before` is part of it. */
export interface PageBounds {
  size: number
  backward: boolean
  after: string | undefined
  before: string | undefined
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

/** The bounds of a page over the ids of a table. */
export const bounds = (sql: Db, id: Fragment, page: PageBounds): (Fragment | undefined)[] => [
  page.after === undefined ? undefined : sql`${id} > ${page.after}`,
  page.before === undefined ? undefined : sql`${id} < ${page.before}`,
]

/** Order and length of a page; one row more than asked for tells that there are more. */
export const window = (sql: Db, id: Fragment, page: PageBounds): Fragment =>
  page.backward ? sql`order by ${id} desc limit ${page.size + 1}` : sql`order by ${id} limit ${page.size + 1}`
