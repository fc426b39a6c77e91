import { type SessionSearch, searchActiveSessions } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import { type Params, readPageQuery } from '../http/params.ts'
import type { Route } from '../http/route.ts'
import { describeSession } from '../identity/describe-session.ts'
import type { AccountSession } from '../render/contexts-account.ts'
import { sessionName } from '../render/functions.ts'
import { accountPage, goTo, openAccount } from './area.ts'
import { PAGE, readPage } from './paging.ts'

/** Sessions that are put in order by the names that the page shows, which the database does not know: more than anybody has. */
const NAMED = 1000
/** Characters of a search that count. */
const SEARCH_LIMIT = 100

const KINDS = ['browser', 'apps', 'tokens'] as const
const SORTS = ['active', 'created', 'name'] as const

/** What the query of the list asks for; what it does not know counts as not said. */
function readSearch(
  query: Params,
): Omit<SessionSearch, 'limit' | 'offset' | 'sort'> & { page: number; sort: (typeof SORTS)[number] } {
  const text = (query.q ?? '').trim().slice(0, SEARCH_LIMIT)
  return {
    kind: KINDS.find((kind) => kind === query.kind) ?? null,
    text: text === '' ? null : text,
    sort: SORTS.find((sort) => sort === query.sort) ?? 'active',
    page: readPage(query),
  }
}

/** In the order of the names that the page shows, the current one first and those without a name last. */
function byName(sessions: readonly AccountSession[], lang: string): AccountSession[] {
  const { compare } = new Intl.Collator(lang, { sensitivity: 'base', numeric: true })
  return sessions
    .map((session) => ({ session, name: sessionName(session) }))
    .sort(
      (a, b) =>
        Number(b.session.current) - Number(a.session.current) ||
        Number(a.name === '') - Number(b.name === '') ||
        compare(a.name, b.name),
    )
    .map(({ session }) => session)
}

/** GET /account/sessions?kind=&q=&sort=&page=: where am I signed in. */
async function list(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { session, visit } = opened
  const { page, ...search } = readSearch(readPageQuery(request))
  const offset = (page - 1) * PAGE
  const rows = await searchActiveSessions(deps.sql, session.user_id, session.id, {
    ...search,
    ...(search.sort === 'name'
      ? { sort: 'active', limit: NAMED, offset: 0 }
      : { sort: search.sort, limit: PAGE, offset }),
  })
  const found = rows.map((row) => describeSession(row, session))
  const sessions = search.sort === 'name' ? byName(found, visit.lang).slice(offset, offset + PAGE) : found
  // The last sessions of this page were signed out: the first one has the rest.
  if (sessions.length === 0 && page > 1) return goTo(deps, opened, 'sessions')
  const total = rows[0]?.total ?? 0
  const { text: q, sort } = search
  const query = (kind: SessionSearch['kind'], to: number): string =>
    new URLSearchParams({
      ...(kind && { kind }),
      ...(q && { q }),
      ...(sort !== 'active' && { sort }),
      ...(to > 1 && { page: String(to) }),
    }).toString()
  return accountPage(deps, opened, 'sessions', 'account_sessions', {
    sessions,
    search: { kind: search.kind ?? '', text: search.text ?? '', sort: search.sort },
    tabs: [null, ...KINDS].map((kind) => ({ kind: kind ?? '', query: query(kind, 1) })),
    total,
    at: page,
    pages: Math.max(1, Math.ceil(total / PAGE)),
    ...(page > 1 && { previous: query(search.kind, page - 1) }),
    ...(page * PAGE < total && { next: query(search.kind, page + 1) }),
  })
}

export const accountSessionsRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/sessions', handle: (request) => list(deps, request) },
]
