import { AdminError } from '../http/errors.ts'
import { uuidFromUlid } from '../lib/ulid.ts'

/** Items of a page when the caller names no number, and at most. */
export const PAGE_SIZE = 10
export const PAGE_LIMIT = 1000

/** Which part of a list is asked for. Ids are uuids; items come in the order of the list whatever the direction. */
export interface Page {
  size: number
  /** From the end of the list towards its beginning. */
  backward: boolean
  /** Neither of the two is part of the page. */
  after: string | undefined
  before: string | undefined
}

/** Whether the page comes with how many there are: with it, counted to the end, without, or that alone. */
export type Count = 'true' | 'exact' | 'false' | 'only'

/** The page of a query (reference operations 2.1). A number over the limit gives a full page. @throws AdminError 400 */
export function readPage(query: Readonly<Record<string, unknown>>): Page {
  const first = query['page[first]']
  const last = query['page[last]']
  if (first !== undefined && last !== undefined)
    throw new AdminError(400, 'page_direction', 'Give page[first] or page[last], not both.', {
      source: { parameter: 'page[last]' },
    })
  const size = Number(last ?? first ?? PAGE_SIZE)
  return {
    size: Math.min(size, PAGE_LIMIT),
    backward: last !== undefined,
    after: uuidOf(query['page[after]']),
    before: uuidOf(query['page[before]']),
  }
}

const uuidOf = (ulid: unknown): string | undefined =>
  ulid === undefined ? undefined : uuidFromUlid(String(ulid))

/** Links of a list: each is the address that was called, with another page; percent-encoded. */
export function pageLinks(
  url: { path: string; search: URLSearchParams },
  page: Page,
  found: { ids: string[]; more: boolean },
): Record<string, string> {
  const link = (changes: Record<string, string>): string => {
    const search = new URLSearchParams(url.search)
    for (const name of ['page[first]', 'page[last]', 'page[after]', 'page[before]', 'after'])
      search.delete(name)
    for (const [name, value] of Object.entries(changes)) search.set(name, value)
    return `${url.path}?${search}`
  }
  const size = String(page.size)
  const begin = found.ids[0]
  const end = found.ids.at(-1)
  const hasNext = page.backward ? page.before !== undefined : found.more
  const hasPrevious = page.backward ? found.more : page.after !== undefined
  return {
    self: url.search.size === 0 ? url.path : `${url.path}?${url.search}`,
    first: link({ 'page[first]': size }),
    last: link({ 'page[last]': size }),
    ...(hasNext && end !== undefined && { next: link({ 'page[first]': size, 'page[after]': end }) }),
    ...(hasPrevious && begin !== undefined && { prev: link({ 'page[last]': size, 'page[before]': begin }) }),
  }
}
