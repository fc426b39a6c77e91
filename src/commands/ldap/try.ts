import { claimsOf, valuesOf } from '../../identity/directory-claims.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { createDirectory } from '../../ldap/directory.ts'
import { DirectoryError } from '../../ldap/directory-error.ts'
import { systemClock } from '../../lib/clock.ts'
import { createClaimTemplates } from '../../render/claim-templates.ts'
import { CommandError, type Context, note, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { load } from '../load.ts'
import { readPassword } from '../manage/read-password.ts'

/** `latchkey ldap try`. */
export default async function tryDirectory(
  this: Context,
  flags: ConfigOnly & { json?: boolean },
  username: string,
): Promise<void> {
  const { config } = await load(this, flags.config)
  if (!config.ldap) throw new CommandError('The configuration has no section ldap.')
  const log = {
    debug() {},
    info() {},
    warn: (event: string, fields?: object) => note(this, `${event} ${JSON.stringify(plain(fields))}`),
    error() {},
  }
  const password = await readPassword(this)
  const name = localpartOf(username, config.matrix.homeserver)
  const directory = createDirectory(config.ldap, { clock: systemClock, log })
  const answer = await directory.authenticate({ name }, password).catch((error: unknown) => {
    if (!(error instanceof DirectoryError)) throw error
    throw new CommandError(`The directory cannot be asked: ${error.message}.`)
  })
  if (answer.result === 'refused')
    throw new CommandError(`The directory says no (${answer.reason}): ${answer.code}.`)
  const { entry } = answer
  const claims = claimsOf({ config, upstream: { templates: createClaimTemplates() }, log }, entry)
  const isAllowed = claims.isAllowed !== false && claims.localpart !== undefined
  const { user } = valuesOf(entry)
  const record = {
    dn: entry.dn,
    id: entry.id,
    groups: entry.groups,
    attributes: Object.fromEntries(
      Object.entries(entry.attributes).map(([key, values]) => [entry.names[key] ?? key, values]),
    ),
    localpart: claims.localpart ?? null,
    displayname: claims.displayName ?? null,
    email: claims.email ?? null,
    allow_if: claims.isAllowed ?? null,
    admin_if: claims.isAdmin ?? null,
  }
  if (flags.json) say(this, JSON.stringify(record))
  else {
    say(this, `The password is right. ${entry.dn}`)
    for (const [key, values] of Object.entries(record.attributes))
      say(
        this,
        `  user.${key}${Array.isArray(user[key]) ? ' (list)' : ''}: ${withoutControls(values.join(' | '))}`,
      )
    say(this, `  user.groups (list): ${withoutControls(entry.groups.join(' | '))}`)
    for (const key of ['id', 'localpart', 'displayname', 'email', 'allow_if', 'admin_if'] as const)
      say(this, `${key}: ${withoutControls(String(record[key] ?? '-'))}`)
  }
  if (!isAllowed) {
    note(
      this,
      claims.localpart === undefined
        ? 'There is no localpart: nobody gets an account like this.'
        : 'allow_if turns this person away.',
    )
    this.process.exitCode = 1
  }
}

const plain = (fields: object = {}): object =>
  Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value]),
  )

/** A directory is quoted: nothing that it says is obeyed by a terminal. */
const withoutControls = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
