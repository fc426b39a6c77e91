import type { TObject } from '@sinclair/typebox'
import { type Counting, type CountRow, planned } from '../../sql/page.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import type { Call, Reply } from './operation.ts'
import { type Count, type Page, pageLinks, readPage } from './page.ts'
import { listOf, resourceOf, singleOf } from './schemas.ts'

/** Where the API is. */
export const BASE = '/api/admin/v1'

/** A kind of resource: its type on the wire, where it lives, and how a row becomes its attributes. */
export interface ResourceKind<Row extends { id: string }> {
  type: string
  /** `/users`. */
  path: string
  attributes(row: Row): Record<string, unknown>
}

/** The schemas of the answers about a kind of resource. */
export function answersOf(type: string, attributes: TObject) {
  const resource = resourceOf(type, attributes)
  return { single: singleOf(resource), list: listOf(resource) }
}

/** Times as the API has them. */
export const timeOf = (time: Date | null): string | null => time?.toISOString() ?? null

/** An id as the API has it. */
export const idOf = (uuid: string | null): string | null => (uuid === null ? null : ulidFromUuid(uuid))

function describe<Row extends { id: string }>(deps: Pick<Deps, 'urls'>, kind: ResourceKind<Row>, row: Row) {
  const id = ulidFromUuid(row.id)
  return {
    type: kind.type,
    id,
    attributes: kind.attributes(row),
    links: { self: deps.urls.path(`${BASE}${kind.path}/${id}`) },
  }
}

/** One resource. The outer link is the address that was called, or its own for a new one (reference operations 2.1). */
export function single<Row extends { id: string }>(
  call: Call,
  kind: ResourceKind<Row>,
  row: Row,
  status: 200 | 201 = 200,
): Reply {
  const data = describe(call.deps, kind, row)
  const self = status === 201 ? data.links.self : call.deps.urls.path(call.url.path)
  return { status, body: { data, links: { self } }, target: { type: kind.type, id: data.id } }
}

/** How a list is read: a page of it, one row more than asked for when there are more; and how long it is. */
export interface ListSource<Row> {
  rows(page: Page): PromiseLike<readonly Row[]>
  count(how: Counting): PromiseLike<readonly CountRow[]>
}

/** How long a list is: a long one about, unless it must be exact. */
async function lengthOf<Row>(
  source: ListSource<Row>,
  exact: boolean,
): Promise<{ count: number; count_estimated?: true }> {
  const [row] = await source.count(exact ? 'all' : 'some')
  const count = row?.count ?? 0
  if (exact || !row?.more) return { count }
  const [plan] = await source.count('estimate')
  return { count: Math.max(planned(plan), count), count_estimated: true }
}

/** A page of a list. */
export async function list<Row extends { id: string }>(
  call: Call<Record<string, unknown>>,
  kind: ResourceKind<Row>,
  source: ListSource<Row>,
): Promise<Reply> {
  const wanted = (call.query.count ?? 'true') as Count
  const page = readPage(call.query)
  const path = call.deps.urls.path(call.url.path)
  const [found, meta] = await Promise.all([
    wanted === 'only' ? [] : source.rows(page),
    wanted === 'false' ? undefined : lengthOf(source, wanted === 'exact'),
  ])
  if (wanted === 'only') return { body: { meta, links: { self: `${path}?${call.url.search}` } } }
  const rows = found.slice(0, page.size)
  if (page.backward) rows.reverse()
  const links = pageLinks({ path, search: call.url.search }, page, {
    ids: rows.map(({ id }) => ulidFromUuid(id)),
    more: found.length > page.size,
  })
  const data = rows.map((row) => ({
    ...describe(call.deps, kind, row),
    meta: { page: { cursor: ulidFromUuid(row.id) } },
  }))
  return { body: { meta, data, links } }
}

/** The row that a path or a filter names. @throws AdminError 404 */
export function found<Row>(row: Row | undefined, what: string): Row {
  if (row === undefined) throw new AdminError(404, 'not_found', `There is no such ${what}.`)
  return row
}
