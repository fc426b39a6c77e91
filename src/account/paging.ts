import type { Params } from '../http/params.ts'
import type { Pager } from '../render/contexts-account.ts'

/** Entries on one page of a list; its weight has a limit (`test/render/weight.test.ts`). */
export const PAGE = 10

/** The page that a query asks for, from 1; what is no page counts as the first. */
export function readPage(query: Params): number {
  const number = Number(query.page ?? 1)
  return Number.isSafeInteger(number) && number > 0 && number < 10_000 ? number : 1
}

/** One page of what was found from its offset on, with one entry more when there are more: that page, and its neighbours. */
export function pageOf<T>(at: number, found: readonly T[]): { shown: T[]; pager: Pager } {
  return {
    shown: found.slice(0, PAGE),
    pager: {
      ...(at > 1 && { previous: at === 2 ? '' : `page=${at - 1}` }),
      ...(found.length > PAGE && { next: `page=${at + 1}` }),
    },
  }
}
