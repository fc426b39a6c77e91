import { listSigningKeys } from '../../sql/signing-keys.ts'
import { removeKey, rotateKeys } from '../oauth/keyring.ts'
import { CommandError, type Context, say } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { withLatchkey } from './manage/with-latchkey.ts'

/** `latchkey keys rotate`. */
export async function rotateCommand(this: Context, flags: ConfigOnly): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const { kids, signsFrom } = await rotateKeys(deps)
    say(
      this,
      `Made ${kids.length} keys. They are published now and sign from ${signsFrom.toISOString()} on:\n${kids.map((kid) => `  ${kid}`).join('\n')}\nThe older keys still verify. Remove them with latchkey keys remove when what they signed has run out (an hour).`,
    )
  })
}

/** `latchkey keys list`. */
export async function listCommand(this: Context, flags: ConfigOnly): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const rows = await listSigningKeys(deps.sql)
    const own = new Map(rows.map((row) => [row.kid, row]))
    await deps.keys.reload()
    for (const { kid, kty } of deps.keys.jwks.keys) {
      const row = own.get(kid)
      const since = row
        ? `made ${row.created_at.toISOString()}, signs from ${row.signs_from.toISOString()}`
        : 'of the configuration'
      say(this, `${kid}  ${kty}  ${since}`)
    }
  })
}

/** `latchkey keys remove`. */
export async function removeCommand(this: Context, flags: ConfigOnly, kid: string): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    if (!(await removeKey(deps, kid)))
      throw new CommandError(
        `There is no key ${kid} in the database; latchkey keys list shows them. Keys of the configuration are removed there.`,
      )
    say(this, `Removed ${kid}. Running servers forget it within a minute.`)
  })
}
