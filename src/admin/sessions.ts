import { type Static, type TObject, Type } from '@sinclair/typebox'
import {
  type AdminBrowserSessionRow,
  type AdminCompatSessionRow,
  type AdminOAuthSessionRow,
  countBrowserSessions,
  countCompatSessions,
  countOAuthSessions,
  findAdminBrowserSession,
  findAdminCompatSession,
  findAdminOAuthSession,
  listBrowserSessions,
  listCompatSessions,
  listOAuthSessions,
  type SessionFilter,
} from '../../sql/admin-sessions.ts'
import type { Db } from '../../sql/connect.ts'
import type { PageBounds } from '../../sql/page.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { endAppSession, endCompatSession, endSession } from '../identity/sessions.ts'
import { transact } from '../lib/transact.ts'
import { firstIdOf } from '../lib/ulid.ts'
import { existing, existingClients, existingUser, filteredScopes, filteredTime } from './existing.ts'
import { type Call, type Operation, operation } from './operation.ts'
import type { Page } from './page.ts'
import { answersOf, found, idOf, list, type ResourceKind, single, timeOf } from './resource.ts'
import { listQuery, nullable, oneOf, Time, Ulid } from './schemas.ts'

const ACTIVITY = {
  created_at: Time('When it began.'),
  finished_at: nullable(Time('When it ended.')),
  user_agent: nullable(Type.String()),
  last_active_at: nullable(Time('When it was last seen, to the minute.')),
  last_active_ip: nullable(Type.String({ examples: ['192.0.2.1'] })),
}

interface ActivityRow {
  created_at: Date
  finished_at: Date | null
  user_agent: string | null
  last_active_at: Date | null
  last_active_ip: string | null
}

const activityOf = (row: ActivityRow) => ({
  created_at: row.created_at.toISOString(),
  finished_at: timeOf(row.finished_at),
  user_agent: row.user_agent,
  last_active_at: timeOf(row.last_active_at),
  last_active_ip: row.last_active_ip,
})

const BROWSER: ResourceKind<AdminBrowserSessionRow> = {
  type: 'user-session',
  path: '/user-sessions',
  attributes: (row) => ({ ...activityOf(row), user_id: idOf(row.user_id), human_name: row.human_name }),
}
const browserAnswers = answersOf(
  'user-session',
  Type.Object({
    ...ACTIVITY,
    user_id: Ulid(),
    human_name: nullable(Type.String({ description: 'What the person calls it.' })),
  }),
)

const COMPAT: ResourceKind<AdminCompatSessionRow> = {
  type: 'compat-session',
  path: '/compat-sessions',
  attributes: (row) => ({
    ...activityOf(row),
    user_id: idOf(row.user_id),
    device_id: row.device_id,
    user_session_id: idOf(row.browser_session_id),
    redirect_uri: row.redirect_uri,
    human_name: row.human_name,
  }),
}
const compatAnswers = answersOf(
  'compat-session',
  Type.Object({
    ...ACTIVITY,
    user_id: Ulid(),
    device_id: nullable(Type.String({ examples: ['AABBCCDDEE'] })),
    user_session_id: nullable(Ulid('The browser session that it was begun from.')),
    redirect_uri: nullable(Type.String({ description: 'Where a login through the browser led back to.' })),
    human_name: nullable(Type.String({ description: 'The name of the device.' })),
  }),
)

const OAUTH: ResourceKind<AdminOAuthSessionRow> = {
  type: 'oauth2-session',
  path: '/oauth2-sessions',
  attributes: (row) => ({
    ...activityOf(row),
    user_id: idOf(row.user_id),
    user_session_id: idOf(row.browser_session_id),
    client_id: idOf(row.client_id),
    scope: row.scope.join(' '),
    human_name: row.human_name,
  }),
}
const oauthAnswers = answersOf(
  'oauth2-session',
  Type.Object({
    ...ACTIVITY,
    user_id: nullable(Ulid('Absent for a client that acts for itself.')),
    user_session_id: nullable(Ulid('The browser session that it was begun from.')),
    client_id: Ulid(),
    scope: Type.String({ examples: ['openid urn:matrix:client:api:*'] }),
    human_name: nullable(Type.String()),
  }),
)

const FILTERS = {
  'filter[user]': Type.Optional(Ulid('Of this user.')),
  'filter[status]': Type.Optional(oneOf(['active', 'finished'], 'Whether they ended.')),
  'filter[created-before]': Type.Optional(Time('Begun before this time.')),
  'filter[created-after]': Type.Optional(Time('Begun after this time.')),
  'filter[last-active-before]': Type.Optional(Time('Last active before this time.')),
  'filter[last-active-after]': Type.Optional(Time('Last active after this time.')),
  sort: Type.Optional(
    oneOf(['id', '-last_active_at'], 'In the order in which they began, or what was last active first.'),
  ),
}
const APP_FILTERS = { ...FILTERS, 'filter[user-session]': Type.Optional(Ulid('Begun from this one.')) }
const OAUTH_FILTERS = {
  ...APP_FILTERS,
  'filter[client]': Type.Optional(Type.Array(Ulid(), { description: 'Of one of these clients.' })),
  'filter[client-kind]': Type.Optional(
    oneOf(['dynamic', 'static'], 'Clients that registered themselves, or those of the configuration.'),
  ),
  'filter[scope]': Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { description: 'With all of these scopes.' }),
  ),
}

type AppQuery = Static<ReturnType<typeof listQuery<typeof APP_FILTERS>>>

/** Milliseconds that the time of an id may lie before that of its session. */
const ID_SLACK = 60_000

/** What began after a time, for a filter: ids hold about the same, and lists are in their order. */
export const createdAfter = (
  time: Date | undefined,
): Pick<SessionFilter, 'createdAfter' | 'createdAfterId'> => ({
  createdAfter: time,
  ...(time && { createdAfterId: firstIdOf(new Date(Math.max(0, time.getTime() - ID_SLACK))) }),
})

/** The filter of a query; what it names must exist. @throws AdminError 404 */
async function readFilter(deps: Pick<Deps, 'sql'>, query: AppQuery): Promise<SessionFilter> {
  return {
    userId: await existingUser(deps, query['filter[user]']),
    browserSessionId: await existing(
      deps,
      query['filter[user-session]'],
      findAdminBrowserSession,
      'user session',
    ),
    status: query['filter[status]'],
    createdBefore: filteredTime('filter[created-before]', query['filter[created-before]']),
    ...createdAfter(filteredTime('filter[created-after]', query['filter[created-after]'])),
    activeBefore: filteredTime('filter[last-active-before]', query['filter[last-active-before]']),
    activeAfter: filteredTime('filter[last-active-after]', query['filter[last-active-after]']),
  }
}

/** The page of a list that may be sorted. */
const sorted = (page: Page, { sort }: { sort?: string }): PageBounds => ({
  ...page,
  order: sort === '-last_active_at' ? 'activity' : 'id',
})

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such session.' } as const
const UNKNOWN = { status: 404, code: 'not_found', when: 'What a filter names does not exist.' } as const

const browserList = operation({
  method: 'GET',
  path: BROWSER.path,
  id: 'listUserSessions',
  area: 'sessions',
  summary: 'List the sessions of browsers',
  query: listQuery(FILTERS),
  success: { status: 200, description: 'Sessions.', schema: browserAnswers.list },
  refusals: [UNKNOWN],
  async handle(call) {
    const filter = await readFilter(call.deps, call.query)
    return list(call, BROWSER, {
      rows: (page) => listBrowserSessions(call.deps.sql, filter, sorted(page, call.query)),
      count: (how) => countBrowserSessions(call.deps.sql, filter, how),
    })
  },
})

const compatList = operation({
  method: 'GET',
  path: COMPAT.path,
  id: 'listCompatSessions',
  area: 'sessions',
  summary: 'List the sessions of older Matrix clients',
  query: listQuery(APP_FILTERS),
  success: { status: 200, description: 'Sessions.', schema: compatAnswers.list },
  refusals: [UNKNOWN],
  async handle(call) {
    const filter = await readFilter(call.deps, call.query)
    return list(call, COMPAT, {
      rows: (page) => listCompatSessions(call.deps.sql, filter, sorted(page, call.query)),
      count: (how) => countCompatSessions(call.deps.sql, filter, how),
    })
  },
})

const oauthList = operation({
  method: 'GET',
  path: OAUTH.path,
  id: 'listOAuth2Sessions',
  area: 'sessions',
  summary: 'List the sessions of OAuth 2.0 clients',
  query: listQuery(OAUTH_FILTERS),
  success: { status: 200, description: 'Sessions.', schema: oauthAnswers.list },
  refusals: [UNKNOWN, { status: 400, code: 'invalid_scope', when: 'A scope of the filter is none.' }],
  async handle(call) {
    const { deps, query } = call
    const kind = query['filter[client-kind]']
    const filter = {
      ...(await readFilter(deps, query)),
      clientIds: await existingClients(deps, query['filter[client]']),
      isStaticClient: kind === undefined ? undefined : kind === 'static',
      scopes: filteredScopes(query['filter[scope]']),
    }
    return list(call, OAUTH, {
      rows: (page) => listOAuthSessions(deps.sql, filter, sorted(page, query)),
      count: (how) => countOAuthSessions(deps.sql, filter, how),
    })
  },
})

/** Getting and ending one session of a kind. */
function oneOperations<Row extends ActivityRow & { id: string }>(kind: {
  resource: ResourceKind<Row>
  schema: TObject
  names: { get: string; finish: string }
  what: string
  find: (sql: Db, id: string) => PromiseLike<readonly Row[]>
  finish: (deps: Deps, row: Row) => Promise<boolean>
  effect: string
}): Operation[] {
  const rowOf = async ({ deps, params }: Call): Promise<Row> =>
    found((await kind.find(deps.sql, params.id ?? ''))[0], 'session')
  const success = { status: 200, description: 'The session.', schema: kind.schema } as const
  return [
    operation({
      method: 'GET',
      path: `${kind.resource.path}/{id}`,
      id: kind.names.get,
      area: 'sessions',
      summary: `Get ${kind.what}`,
      success,
      refusals: [NOT_FOUND],
      handle: async (call) => single(call, kind.resource, await rowOf(call)),
    }),
    operation({
      method: 'POST',
      path: `${kind.resource.path}/{id}/finish`,
      id: kind.names.finish,
      area: 'sessions',
      summary: `End ${kind.what}`,
      description: kind.effect,
      success,
      refusals: [NOT_FOUND, { status: 400, code: 'already_finished', when: 'The session has ended.' }],
      async handle(call) {
        if (!(await kind.finish(call.deps, await rowOf(call))))
          throw new AdminError(400, 'already_finished', 'The session has ended.')
        return single(call, kind.resource, await rowOf(call))
      },
    }),
  ]
}

export const sessionOperations: Operation[] = [
  browserList,
  ...oneOperations({
    resource: BROWSER,
    schema: browserAnswers.single,
    names: { get: 'getUserSession', finish: 'finishUserSession' },
    what: 'the session of a browser',
    find: findAdminBrowserSession,
    finish: (deps, row) => endSession(deps, row.user_id, row.id),
    effect: 'The sessions of apps that were begun from it go on.',
  }),
  compatList,
  ...oneOperations({
    resource: COMPAT,
    schema: compatAnswers.single,
    names: { get: 'getCompatSession', finish: 'finishCompatSession' },
    what: 'the session of an older Matrix client',
    find: findAdminCompatSession,
    finish: (deps, row) => transact(deps.sql, (tx) => endCompatSession(deps, tx, row.id)),
    effect: 'Its tokens stop working, and the homeserver forgets its device.',
  }),
  oauthList,
  ...oneOperations({
    resource: OAUTH,
    schema: oauthAnswers.single,
    names: { get: 'getOAuth2Session', finish: 'finishOAuth2Session' },
    what: 'the session of an OAuth 2.0 client',
    find: findAdminOAuthSession,
    finish: (deps, row) => transact(deps.sql, (tx) => endAppSession(deps, tx, row.id)),
    effect: 'Its tokens stop working, and the homeserver forgets its device.',
  }),
]
