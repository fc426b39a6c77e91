import { findAdminUser } from '../../sql/admin-users.ts'
import { findClient } from '../../sql/clients.ts'
import type { Db } from '../../sql/connect.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { parseScope } from '../lib/scope.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { found } from './resource.ts'

/** What filters and bodies name must exist: a typo must not look like an empty list. */

/** The uuid of what a ULID names; undefined when nothing is named. @throws AdminError 404 */
export async function existing(
  deps: Pick<Deps, 'sql'>,
  ulid: string | undefined,
  find: (sql: Db, id: string) => PromiseLike<readonly unknown[]>,
  what: string,
): Promise<string | undefined> {
  const id = ulid === undefined ? undefined : uuidFromUlid(ulid)
  if (id !== undefined) found((await find(deps.sql, id))[0], what)
  return id
}

/** The user that a filter names, as uuid. @throws AdminError 404 */
export const existingUser = (
  deps: Pick<Deps, 'sql'>,
  ulid: string | undefined,
): Promise<string | undefined> => existing(deps, ulid, findAdminUser, 'user')

/** The client that a filter names, as uuid. @throws AdminError 404 */
export const existingClient = (
  deps: Pick<Deps, 'sql'>,
  ulid: string | undefined,
): Promise<string | undefined> => existing(deps, ulid, findClient, 'client')

/** The clients that a filter names, as uuids; undefined when it names none. @throws AdminError 404 */
export async function existingClients(
  deps: Pick<Deps, 'sql'>,
  ulids: readonly string[] | undefined,
): Promise<string[] | undefined> {
  const ids = await Promise.all((ulids ?? []).map((ulid) => existingClient(deps, ulid)))
  return ulids && ids.filter((id) => id !== undefined)
}

/** The scopes of a filter. @throws AdminError 400 */
export function filteredScopes(texts: readonly string[] | undefined): string[] | undefined {
  return texts?.flatMap((text) => {
    const scopes = parseScope(text)
    if (scopes) return scopes
    throw new AdminError(400, 'invalid_scope', 'A scope of the filter is none.', {
      source: { parameter: 'filter[scope]' },
    })
  })
}

/** The time of a filter. @throws AdminError 400 when it has the form of one and is none: a 30th of February */
export function filteredTime(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const time = new Date(text)
  if (!Number.isNaN(time.getTime())) return time
  throw new AdminError(400, 'invalid_parameter', `The parameter ${name} is not valid.`, {
    detail: `${text} is no time.`,
    source: { parameter: name },
  })
}
