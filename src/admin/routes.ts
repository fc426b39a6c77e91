import { insertAuditEntries } from '../../sql/audit.ts'
import type { Deps } from '../deps.ts'
import { adminCors } from '../http/cors.ts'
import { AdminError } from '../http/errors.ts'
import { readText } from '../http/params.ts'
import { empty, json } from '../http/reply.ts'
import { requesterOf } from '../http/requester.ts'
import type { PathParams, Route } from '../http/route.ts'
import { scopesFor } from '../lib/admin-scope.ts'
import { noteWho } from '../lib/current-request.ts'
import { isStorable } from '../lib/storable.ts'
import { newId, ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { authenticateCaller, type Caller, requireScope } from './caller.ts'
import { documentRoutes } from './document.ts'
import { once } from './idempotency.ts'
import { isCreation, type Operation, type Reply, type Target } from './operation.ts'
import { OPERATIONS } from './operations.ts'
import { bodyReader, queryReader } from './read.ts'
import { BASE } from './resource.ts'
import { NoQuery } from './schemas.ts'

/** The admin API and its documents. */
export const adminRoutes = (deps: Deps): Route[] => [
  ...OPERATIONS.map((operation) => routeOf(deps, operation)),
  ...documentRoutes(deps),
]

/**
 * The route of an operation. Who calls comes first, what they may do next, and what they ask last: an error tells
 * nothing to those who may not know.
 */
function routeOf(deps: Deps, operation: Operation): Route {
  const readQuery = queryReader(operation.query ?? NoQuery)
  const readBody = operation.body && bodyReader(operation.body, operation.bodyOptional ?? false)
  const scopes = scopesFor(operation)
  return {
    method: operation.method,
    path: BASE + operation.path,
    cors: adminCors,
    async handle(request, params) {
      // Before anybody is asked who they are, or a token could be revoked while its holder takes time over the body. What
      // is in it is looked at last.
      const text = readBody && (await readText(request))
      const caller = await authenticateCaller(deps, request, deps.urls.absolute(pathOf(operation, params)))
      noteWho(
        caller.userId
          ? `user ${ulidFromUuid(caller.userId)}`
          : `client ${caller.clientId && ulidFromUuid(caller.clientId)}`,
      )
      requireScope(caller, scopes)
      const url = new URL(request.url)
      const call = {
        deps,
        caller,
        requester: requesterOf(deps, request),
        params: readPath(params),
        query: readQuery(url.searchParams),
        body: readBody?.(request, text),
        url: { path: pathOf(operation, params), search: url.searchParams },
      }
      const run = async (): Promise<Reply> => {
        const reply = await operation.handle(call)
        if (operation.method !== 'GET') await audit(deps, operation, call, reply)
        return reply
      }
      const key = isCreation(operation) ? request.headers.get('idempotency-key') : null
      const reply = await once(
        deps,
        { key, sessionId: caller.sessionId, operation: operation.id, body: call.body },
        run,
      )
      return reply.body === undefined ? empty(204) : json(reply.body, reply.status)
    },
  }
}

/** Ids of the path as uuids. @throws AdminError 400, 404 */
function readPath(params: PathParams): Record<string, string> {
  const { id, ...others } = params
  if (!isStorable(others)) throw new AdminError(404, 'not_found', 'Nothing has a name like this.')
  if (id === undefined) return params
  const uuid = uuidFromUlid(id)
  if (uuid === undefined)
    throw new AdminError(400, 'invalid_id', 'The id in the address is not a ULID: 26 letters and digits.', {
      source: { parameter: 'id' },
    })
  return { ...others, id: uuid }
}

/** The address of an operation, whatever prefix it was called under. */
const pathOf = (operation: Operation, params: PathParams): string =>
  BASE + operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))

/**
 * Who did what to which resource. Written after the change, which stands even if this fails: then the log alone has it.
 */
async function audit(
  deps: Deps,
  operation: Operation,
  call: { caller: Caller; requester: { ip: string | undefined } },
  reply: Reply,
): Promise<void> {
  const targets: readonly (Target | undefined)[] = reply.targets ?? [reply.target]
  if (targets.length === 0) return
  const now = deps.clock.now()
  const entry = {
    ids: targets.map(() => newId(now, deps.random)),
    action: operation.id,
    actorUserId: call.caller.userId ?? null,
    actorClientId: call.caller.clientId ?? null,
    targetType: targets[0]?.type ?? null,
    targetIds: targets.map((one) => (one && uuidFromUlid(one.id)) ?? null),
    ip: call.requester.ip ?? null,
  }
  deps.log.info('admin.changed', { ...entry, actor: call.caller.username })
  try {
    await insertAuditEntries(deps.sql, entry)
  } catch (error) {
    deps.log.error('admin.audit_failed', { ...entry, error })
  }
}
