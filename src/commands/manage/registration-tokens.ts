import {
  findRegistrationToken,
  listRegistrationTokens,
  type RegistrationTokenRow,
  revokeRegistrationToken,
} from '../../../sql/registration-tokens.ts'
import type { Deps } from '../../deps.ts'
import {
  createRegistrationToken,
  isValidRegistrationToken,
  openRegistrationToken,
  REGISTRATION_TOKEN,
} from '../../identity/registration-tokens.ts'
import { addSeconds } from '../../lib/clock.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import { CommandError, type Context, note } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { answer } from './answer.ts'
import { withLatchkey } from './with-latchkey.ts'

interface IssueFlags extends ConfigOnly {
  token?: string
  usageLimit?: number
  unlimited?: boolean
  expiresIn?: number
  json?: boolean
}

/** Invitations that one list shows. */
const LIMIT = 1000

/** `latchkey manage issue-user-registration-token`: good for one account and for ever, unless something is said. */
export async function issueRegistrationToken(this: Context, flags: IssueFlags): Promise<void> {
  const { token, usageLimit, unlimited, expiresIn } = flags
  if (usageLimit !== undefined && unlimited)
    throw new CommandError('Choose one of --usage-limit and --unlimited.')
  if (token !== undefined && !REGISTRATION_TOKEN.test(token))
    throw new CommandError('A token has 1 to 64 characters: letters, digits and . _ ~ -')
  await withLatchkey(this, flags, async (deps) => {
    const made = await createRegistrationToken(deps, {
      token,
      usageLimit: unlimited ? null : (usageLimit ?? 1),
      expiresAt: expiresIn === undefined ? null : addSeconds(deps.clock.now(), expiresIn),
    })
    if (!made) throw new CommandError(`There is a registration token ${token} already.`)
    const record = await recordOf(deps, made.row)
    answer(this, flags, made.token, record)
    if (flags.json) return
    const uses = record.usage_limit === null ? 'any number of accounts' : `${record.usage_limit} account(s)`
    note(this, `It is good for ${uses}, ${record.expires_at ? `until ${record.expires_at}` : 'for ever'}.`)
  })
}

/** `latchkey manage list-user-registration-tokens`: those that are good, or with `--all` every one. */
export async function listInvitations(
  this: Context,
  flags: ConfigOnly & { all?: boolean; json?: boolean },
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const rows = await listRegistrationTokens(
      deps.sql,
      {
        used: undefined,
        revoked: undefined,
        expired: undefined,
        valid: flags.all ? undefined : true,
        now: deps.clock.now(),
      },
      { size: LIMIT, backward: true, after: undefined, before: undefined },
    )
    const records = await Promise.all(rows.slice(0, LIMIT).map((row) => recordOf(deps, row)))
    const lines = records.map(({ id, token, valid, usage_limit, times_used, expires_at }) =>
      [
        id,
        token ?? '(sealed under a key that is gone)',
        valid ? 'valid' : 'not valid',
        `used ${times_used} of ${usage_limit ?? 'any number'}`,
        expires_at === null ? 'no end' : `until ${expires_at}`,
      ].join('\t'),
    )
    if (records.length === 0 && !flags.json) note(this, 'There are none.')
    answer(this, flags, lines.join('\n'), records)
  })
}

/** `latchkey manage revoke-user-registration-token`, by id. */
export async function revokeInvitation(
  this: Context,
  flags: ConfigOnly & { dryRun?: boolean; json?: boolean },
  ulid: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const id = uuidFromUlid(ulid)
    const [row] = id === undefined ? [] : await findRegistrationToken(deps.sql, id)
    if (!row) throw new CommandError(`There is no registration token with the id ${ulid}.`)
    if (row.revoked_at) throw new CommandError(`The registration token ${ulid} was revoked before.`)
    if (flags.dryRun)
      return answer(this, flags, `Would revoke ${ulid}.`, { ...(await recordOf(deps, row)), dry_run: true })
    const [revoked] = await revokeRegistrationToken(deps.sql, row.id, deps.clock.now())
    if (!revoked) throw new CommandError(`The registration token ${ulid} was revoked before.`)
    deps.log.info('registration_token.revoked', { id: row.id })
    answer(
      this,
      flags,
      `Revoked ${ulid}. Accounts that were made with it stay.`,
      await recordOf(deps, revoked),
    )
  })
}

/** An invitation as JSON: names as in the admin API (reference operations 2.2). */
async function recordOf(deps: Pick<Deps, 'secrets' | 'clock'>, row: RegistrationTokenRow) {
  return {
    id: ulidFromUuid(row.id),
    token: (await openRegistrationToken(deps, row)) ?? null,
    valid: isValidRegistrationToken(row, deps.clock.now()),
    usage_limit: row.usage_limit,
    times_used: row.times_used,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    revoked_at: row.revoked_at?.toISOString() ?? null,
  }
}
