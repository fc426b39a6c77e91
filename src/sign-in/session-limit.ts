import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import { listActiveSessions } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import type { PageOptions } from '../http/page-response.ts'
import type { Params } from '../http/params.ts'
import type { Requester } from '../http/requester.ts'
import { describeSession } from '../identity/describe-session.ts'
import { endSessions, sortOf } from '../identity/sessions.ts'
import { page, type Visit } from '../identity/visit.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import type { Violation } from '../policy/violation.ts'
import type { AccountSession } from '../render/contexts-account.ts'
import type { SessionLimitPage } from '../render/contexts-session-limit.ts'

/** Sessions on the page; people with more see those that were idle for the longest time. */
const LIMIT = 200
/** More than anybody has: which of them are the idlest is found out here. */
const ALL = 1000

/** Whether too many sessions are all that stands in the way: then the person can do something about it. */
export const isOverLimitOnly = (violations: readonly Violation[]): boolean =>
  violations.length > 0 && violations.every(({ code }) => code === 'too-many-sessions')

/** How many sessions must end. */
const needOf = (violations: readonly Violation[]): number =>
  Math.max(...violations.map(({ need_to_remove: need }) => need ?? 1))

/**
 * The page that lets a person choose sessions to end, in place of a dead end: the one that waits goes on afterwards. Its
 * form goes where the one of the page that it stands for goes. Undefined when there is nothing to choose from.
 */
export async function sessionLimitPage(
  deps: Deps,
  visit: Visit,
  session: BrowserSessionRow,
  violations: readonly Violation[],
  about: Pick<SessionLimitPage, 'client' | 'grant_id' | 'device_grant_id' | 'compat_login_id'>,
  options: PageOptions & { chosen?: readonly string[] } = {},
): Promise<Response | undefined> {
  const sessions = await countedSessions(deps, session)
  if (sessions.length === 0) return undefined
  const { chosen, ...rest } = options
  return page(
    deps,
    visit,
    'session_limit',
    {
      ...about,
      need: Math.min(needOf(violations), sessions.length),
      sessions,
      chosen: [...(chosen ?? [])],
      too_few: chosen !== undefined,
    },
    chosen ? { ...rest, status: 422 } : rest,
  )
}

/** The sessions that the limit counts, the idlest first: apps of both kinds, and tokens that the person made. */
async function countedSessions(
  deps: Pick<Deps, 'sql'>,
  session: BrowserSessionRow,
): Promise<AccountSession[]> {
  const rows = await listActiveSessions(deps.sql, session.user_id, ALL)
  return rows
    .filter((row) => ['app', 'token'].includes(sortOf(row)))
    .map((row) => describeSession(row, session))
    .sort((a, b) => lastUse(a).localeCompare(lastUse(b)) || a.id.localeCompare(b.id))
    .slice(0, LIMIT)
}

const lastUse = (session: AccountSession): string => session.last_active_at ?? session.created_at

/** Ends what the form of the page names (fields `end_<id>`), if that is enough; else what was chosen, to ask again. */
export async function endChosen(
  deps: Deps,
  session: BrowserSessionRow,
  violations: readonly Violation[],
  form: Params,
  requester: Requester,
): Promise<{ ended: true } | { ended: false; chosen: string[] }> {
  const chosen = Object.keys(form)
    .map((name) => /^end_([0-9A-Z]{26})$/.exec(name)?.[1])
    .filter((id) => id !== undefined)
    .slice(0, LIMIT)
  const known = new Set((await countedSessions(deps, session)).map(({ id }) => id))
  const ours = chosen.filter((id) => known.has(id))
  if (ours.length < Math.min(needOf(violations), known.size)) return { ended: false, chosen: ours }
  await endSessions(
    deps,
    session.user_id,
    ours.map(uuidFromUlid).filter((id) => id !== undefined),
    requester,
  )
  return { ended: true }
}
