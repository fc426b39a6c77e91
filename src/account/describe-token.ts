import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import type { PersonalSessionRow } from '../../sql/personal-sessions.ts'
import type { Deps } from '../deps.ts'
import { deviceOfScope } from '../lib/scope.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { scopeLine } from '../oauth/scope-line.ts'
import type { AccountToken } from '../render/contexts-tokens.ts'

type Reader = Pick<BrowserSessionRow, 'user_id'>

/** Whether a person made a token for themselves: only then they decide about a new one. */
export const isReplaceable = (row: PersonalSessionRow, reader: Reader): boolean =>
  row.owner_user_id === reader.user_id && row.user_id === reader.user_id

/** A personal token as pages show it to one of the two people that it is about. */
export function describeToken(
  deps: Pick<Deps, 'clock' | 'homeserver'>,
  row: PersonalSessionRow,
  reader: Reader,
): AccountToken {
  const isOwner = row.owner_user_id === reader.user_id
  const owner = row.owner_username === null ? '' : deps.homeserver.mxid(row.owner_username)
  return {
    id: ulidFromUuid(row.id),
    name: row.human_name,
    scopes: row.scope.filter((scope) => deviceOfScope(scope) === undefined).map(scopeLine),
    ...(row.device_id !== null && { device_id: row.device_id }),
    created_at: row.created_at.toISOString(),
    ...(row.last_active_at !== null && { last_used_at: row.last_active_at.toISOString() }),
    ...(row.expires_at !== null && { expires_at: row.expires_at.toISOString() }),
    expired: row.expires_at !== null && row.expires_at <= deps.clock.now(),
    ...(row.user_id !== reader.user_id && { acts_as: deps.homeserver.mxid(row.username) }),
    ...(!isOwner && { made_by: owner }),
    replaceable: isReplaceable(row, reader),
  }
}
