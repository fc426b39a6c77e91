import {
  findPersonalSession,
  listPersonalSessions,
  type PersonalSessionRow,
} from '../../../sql/personal-sessions.ts'
import type { Deps } from '../../deps.ts'
import { Unavailable } from '../../http/errors.ts'
import {
  createPersonalToken,
  newDeviceId,
  regeneratePersonalToken,
  revokePersonalSession,
  TOKEN_NAME_LIMIT,
} from '../../identity/personal-tokens.ts'
import { API_SCOPE, deviceScope, parseScope, SYNAPSE_ADMIN } from '../../lib/scope.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import { CommandError, type Context, note, say } from '../context.ts'
import { reasonOf } from '../explain.ts'
import type { ConfigOnly } from '../flags.ts'
import { answer, type ChangeFlags } from './answer.ts'
import { requireUser, runJobs, withLatchkey } from './with-latchkey.ts'

interface IssueFlags extends ConfigOnly {
  name?: string
  scope?: string
  deviceId?: string
  expiresIn?: number
  yesIWantToGrantSynapseAdminPrivileges?: boolean
  json?: boolean
}

/** Tokens that one list shows. */
const LIMIT = 1000

/** `latchkey manage issue-personal-token`. */
export async function issuePersonalToken(this: Context, flags: IssueFlags, username: string): Promise<void> {
  const name = flags.name ?? 'Personal token'
  if (name.trim() === '' || [...name].length > TOKEN_NAME_LIMIT)
    throw new CommandError(`The name must have 1 to ${TOKEN_NAME_LIMIT} characters.`)
  await withLatchkey(this, flags, async (deps) => {
    const actor = await requireUser(deps, username)
    const created = await createPersonalToken(deps, {
      actor,
      // The person sees it in the account area, and can revoke it there.
      owner: { userId: actor.id },
      maker: 'admin',
      name,
      scope: scopeOf(deps, flags),
      expiresIn: flags.expiresIn,
      requester: { ip: undefined, userAgent: undefined },
    }).catch((error: unknown) => {
      if (error instanceof Unavailable) throw homeserverAway(deps, error)
      throw error
    })
    switch (created.result) {
      case 'refused':
        throw new CommandError(created.violations.map(({ msg }) => msg).join(' '))
      case 'deactivated':
        throw new CommandError(`The account ${actor.username} is deactivated.`)
      case 'ended':
        throw new CommandError('The sessions of the account were ended meanwhile; there is no token.')
    }
    tell(this, created, flags.json ?? false)
    if (actor.locked_at) note(this, `${actor.username} is locked: the token works once that ends.`)
  })
}

/** What was asked for; by default the Matrix API on a new device. */
function scopeOf(deps: Pick<Deps, 'random'>, flags: IssueFlags): string[] {
  const scope = new Set(parseScope(flags.scope?.trim() || API_SCOPE) ?? [])
  if (scope.size === 0)
    throw new CommandError(`${flags.scope} is not a list of scopes, with a space between two.`)
  if (flags.deviceId !== undefined) scope.add(deviceScope(flags.deviceId))
  else if (flags.scope === undefined) scope.add(deviceScope(newDeviceId(deps.random)))
  if (flags.yesIWantToGrantSynapseAdminPrivileges) scope.add(SYNAPSE_ADMIN)
  return [...scope].sort()
}

/** For whoever waits for a device. */
export function homeserverAway(deps: Pick<Deps, 'config'>, error: Unavailable): CommandError {
  const reason = error.cause === undefined ? '' : ` (${reasonOf(error.cause)})`
  return new CommandError(
    `The homeserver at ${deps.config.matrix.endpoint} could not be told of the device${reason}, so there is no token; mend that, and try again.`,
    { cause: error },
  )
}

/** `latchkey manage regenerate-personal-token`. */
export async function regenerateToken(
  this: Context,
  flags: ConfigOnly & { expiresIn?: number; json?: boolean },
  id: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const { id: sessionId } = await requireSession(deps, id)
    const issued = await regeneratePersonalToken(deps, sessionId, flags.expiresIn)
    if (!issued) throw revoked(id)
    tell(this, issued, flags.json ?? false)
  })
}

/** `latchkey manage revoke-personal-token`. */
export async function revokeToken(this: Context, flags: ChangeFlags, id: string): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const session = await requireSession(deps, id)
    const what = `${session.human_name} of ${session.username}`
    if (flags.dryRun)
      return answer(this, flags, `Would revoke ${what}.`, { ...describe(session), dry_run: true })
    if (!(await revokePersonalSession(deps, session.id))) throw revoked(id)
    await runJobs(deps)
    answer(this, flags, `Revoked ${what}.`, describe(session))
  })
}

/** `latchkey manage list-personal-tokens`. */
export async function listTokens(
  this: Context,
  flags: ConfigOnly & { json?: boolean },
  username: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const sessions = await listPersonalSessions(deps.sql, user.id, LIMIT)
    if (flags.json) say(this, JSON.stringify(sessions.map(describe)))
    else if (sessions.length === 0) note(this, `${user.username} has no personal tokens.`)
    else for (const session of sessions) say(this, line(session, deps.clock.now()))
  })
}

async function requireSession(deps: Pick<Deps, 'sql'>, id: string): Promise<PersonalSessionRow> {
  const uuid = uuidFromUlid(id)
  const [session] = uuid === undefined ? [] : await findPersonalSession(deps.sql, uuid)
  if (!session) throw new CommandError(`There is no personal token with the id ${id}.`)
  return session
}

const revoked = (id: string) => new CommandError(`The personal token ${id} was revoked before.`)

/** The token alone on standard output, for `TOKEN=$(…)`; what it is, beside it. */
function tell(context: Context, issued: { session: PersonalSessionRow; token: string }, json: boolean): void {
  const { session, token } = issued
  say(context, json ? JSON.stringify({ ...describe(session), token }) : token)
  if (json) return
  const until = session.expires_at ? `until ${session.expires_at.toISOString()}` : 'until it is revoked'
  const device = session.device_id === null ? '' : `, device ${session.device_id}`
  note(
    context,
    `It acts as ${session.username}${device}, ${until}, and is not shown again. Revoke it with: latchkey manage revoke-personal-token ${ulidFromUuid(session.id)}`,
  )
}

/** A personal token as JSON: names as in the admin API (reference operations 2.2), and the username. */
const describe = (session: PersonalSessionRow) => ({
  id: ulidFromUuid(session.id),
  username: session.username,
  human_name: session.human_name,
  scope: session.scope.join(' '),
  device_id: session.device_id,
  owner_username: session.owner_username,
  created_at: session.created_at.toISOString(),
  expires_at: session.expires_at?.toISOString() ?? null,
  last_active_at: session.last_active_at?.toISOString() ?? null,
})

function line(session: PersonalSessionRow, now: Date): string {
  const { expires_at, last_active_at } = session
  const expiry = expires_at
    ? `${expires_at <= now ? 'ran out' : 'until'} ${expires_at.toISOString()}`
    : 'no end'
  const used = last_active_at ? `last used ${last_active_at.toISOString()}` : 'not used yet'
  const fields = [
    ulidFromUuid(session.id),
    session.human_name,
    `as ${session.username}`,
    expiry,
    used,
    session.scope.join(' '),
  ]
  return fields.join('\t')
}
