import { type Static, type TObject, type TProperties, Type } from '@sinclair/typebox'
import {
  type FinishedRow,
  findAdminBrowserSession,
  finishFoundBrowserSessions,
  finishFoundCompatSessions,
  finishFoundOAuthSessions,
  listBrowserSessions,
  listCompatSessions,
  listOAuthSessions,
  type OAuthSessionFilter,
} from '../../sql/admin-sessions.ts'
import type { Db } from '../../sql/connect.ts'
import type { PageBounds } from '../../sql/page.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { endFound } from '../identity/end-found.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { existing, existingClients, existingUser } from './existing.ts'
import { type Operation, operation } from './operation.ts'
import { Time, Ulid } from './schemas.ts'
import { createdAfter } from './sessions.ts'

/** Sessions that end with one call: as many as are told to the homeserver's jobs in a second or two. */
const MOST = 500
/** What a dry run looks at: the oldest, as they would end. */
const FIRST: PageBounds = { size: MOST, backward: false, after: undefined, before: undefined }
/** Ids of one call. */
const MOST_IDS = 100

const CONDITIONS = {
  user: Type.Optional(Ulid('Of this user.')),
  created_before: Type.Optional(Time('Begun before this time.')),
  created_after: Type.Optional(Time('Begun after this time.')),
  last_active_before: Type.Optional(
    Time('Last active before this time; one that was never active counts from its beginning.'),
  ),
  last_active_after: Type.Optional(Time('Last active after this time.')),
}
const APP_CONDITIONS = { ...CONDITIONS, user_session: Type.Optional(Ulid('Begun from this one.')) }
const OAUTH_CONDITIONS = {
  ...APP_CONDITIONS,
  client: Type.Optional(
    Type.Array(Ulid(), { minItems: 1, maxItems: 100, description: 'Of one of these clients.' }),
  ),
}

/** What a body of any kind may hold. */
type Conditions = Static<TObject<typeof OAUTH_CONDITIONS>>

const bodyOf = (conditions: TProperties) =>
  Type.Object(
    {
      ids: Type.Optional(
        Type.Array(Ulid(), { minItems: 1, maxItems: MOST_IDS, description: 'These sessions.' }),
      ),
      filter: Type.Optional(
        Type.Object(conditions, {
          additionalProperties: false,
          minProperties: 1,
          description: 'Every active session that fits all of it. It must not be empty.',
          errorMessage: 'It must name at least one condition, and none that does not exist.',
        }),
      ),
      dry_run: Type.Optional(Type.Boolean({ description: 'End nothing, and tell what would end.' })),
    },
    { additionalProperties: false, examples: [{ ids: ['01HZX1V2E3Q4R5S6T7V8W9XAYB'] }] },
  )

/** Type by type what `bodyOf` lets through. */
interface Asked {
  ids?: string[]
  filter?: Conditions
  dry_run?: boolean
}

const Answer = Type.Object({
  dry_run: Type.Boolean(),
  ids: Type.Array(Ulid(), { description: `The sessions that ended, or would; ${MOST} at most.` }),
  more: Type.Boolean({ description: 'There are more: call again.' }),
})

/** A kind of session, and how several of it are found and ended. */
interface Kind {
  path: string
  type: string
  id: string
  what: string
  ends: 'browser' | 'app'
  conditions: TProperties
  list(sql: Db, filter: OAuthSessionFilter, page: PageBounds): PromiseLike<readonly { id: string }[]>
  finish(sql: Db, filter: OAuthSessionFilter, limit: number, now: Date): PromiseLike<readonly FinishedRow[]>
}

const bulkOperation = (kind: Kind): Operation =>
  operation({
    method: 'POST',
    path: `${kind.path}/finish`,
    id: kind.id,
    area: 'sessions',
    summary: `End several sessions of ${kind.what}`,
    description:
      `By their ids or by a filter, the oldest first, at most ${MOST} a call. Ids that are unknown or ended are passed ` +
      'over. A filter never ends the session that calls.',
    body: bodyOf(kind.conditions),
    success: {
      status: 200,
      description: 'What ended.',
      schema: Answer,
      example: { dry_run: false, ids: ['01HZX1V2E3Q4R5S6T7V8W9XAYB'], more: false },
    },
    refusals: [
      { status: 400, code: 'invalid_body', when: 'It has neither `ids` nor `filter`, or both.' },
      { status: 404, code: 'not_found', when: 'What the filter names does not exist.' },
    ],
    async handle({ deps, caller, body }) {
      const { ids, filter: conditions, dry_run = false } = body as Asked
      if ((ids === undefined) === (conditions === undefined))
        throw new AdminError(400, 'invalid_body', 'The body is not valid.', {
          detail: 'Give ids or filter, not both.',
          source: { pointer: ids === undefined ? '' : '/filter' },
        })
      const filter = {
        ...(await filterOf(deps, conditions ?? {})),
        ids: ids?.map((id) => uuidFromUlid(id) ?? ''),
        exceptId: ids === undefined ? caller.sessionId : undefined,
      }
      const found = dry_run
        ? (await kind.list(deps.sql, filter, FIRST)).slice(0, MOST)
        : await endFound(deps, kind.ends, (tx, now) => kind.finish(tx, filter, MOST, now))
      const ended = found.map(({ id }) => ulidFromUuid(id)).sort()
      return {
        body: { dry_run, ids: ended, more: found.length === MOST },
        targets: dry_run ? [] : ended.map((id) => ({ type: kind.type, id })),
      }
    },
  })

/** The filter of a body; what it names must exist. @throws AdminError 400, 404 */
async function filterOf(deps: Pick<Deps, 'sql'>, asked: Conditions): Promise<OAuthSessionFilter> {
  return {
    userId: await existingUser(deps, asked.user),
    browserSessionId: await existing(deps, asked.user_session, findAdminBrowserSession, 'user session'),
    status: 'active',
    createdBefore: timeOf(asked, 'created_before'),
    ...createdAfter(timeOf(asked, 'created_after')),
    activeBefore: timeOf(asked, 'last_active_before'),
    activeAfter: timeOf(asked, 'last_active_after'),
    clientIds: await existingClients(deps, asked.client),
    isStaticClient: undefined,
    scopes: undefined,
  }
}

function timeOf(
  asked: Conditions,
  name: 'created_before' | 'created_after' | 'last_active_before' | 'last_active_after',
): Date | undefined {
  const text = asked[name]
  if (text === undefined) return undefined
  const time = new Date(text)
  if (!Number.isNaN(time.getTime())) return time
  throw new AdminError(400, 'invalid_body', 'The body is not valid.', {
    detail: `${text} is no time.`,
    source: { pointer: `/filter/${name}` },
  })
}

export const bulkSessionOperations: Operation[] = (
  [
    {
      path: '/user-sessions',
      type: 'user-session',
      id: 'finishUserSessions',
      what: 'browsers',
      ends: 'browser',
      conditions: CONDITIONS,
      list: listBrowserSessions,
      finish: finishFoundBrowserSessions,
    },
    {
      path: '/compat-sessions',
      type: 'compat-session',
      id: 'finishCompatSessions',
      what: 'older Matrix clients',
      ends: 'app',
      conditions: APP_CONDITIONS,
      list: listCompatSessions,
      finish: finishFoundCompatSessions,
    },
    {
      path: '/oauth2-sessions',
      type: 'oauth2-session',
      id: 'finishOAuth2Sessions',
      what: 'OAuth 2.0 clients',
      ends: 'app',
      conditions: OAUTH_CONDITIONS,
      list: listOAuthSessions,
      finish: finishFoundOAuthSessions,
    },
  ] satisfies Kind[]
).map(bulkOperation)
