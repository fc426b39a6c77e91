import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import { parse } from 'yaml'
import { findUpstreamProvider } from '../../../sql/admin-upstream.ts'
import { listStoredProviders, type StoredProviderRow } from '../../../sql/provider-plan.ts'
import { problemSentence } from '../../config/provider.ts'
import type { Deps } from '../../deps.ts'
import {
  changeOperatorProvider,
  createOperatorProvider,
  type Refused,
  removeOperatorProvider,
  setProviderEnabled,
} from '../../identity/operator-providers.ts'
import { isRecord } from '../../lib/record.ts'
import { messageOf } from '../../lib/thrown.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import { callbackUri } from '../../upstream/exchange.ts'
import { CommandError, type Context, note } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { counted } from './accounts.ts'
import { answer, type ChangeFlags } from './answer.ts'
import { withLatchkey } from './with-latchkey.ts'

interface SettingsFlags extends ChangeFlags {
  file?: string
}

/** `latchkey manage list-upstream-providers`: those of the configuration, and those that were made besides. */
export async function listProviders(this: Context, flags: ConfigOnly & { json?: boolean }): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const records = (await listStoredProviders(deps.sql)).map(recordOf)
    const lines = records.map(({ id, human_name, issuer, disabled_at, origin, links }) =>
      [
        id,
        human_name ?? issuer ?? '(no name)',
        disabled_at === null ? 'offered' : 'not offered',
        origin,
        counted(links, 'linked account'),
      ].join('\t'),
    )
    if (records.length === 0 && !flags.json) note(this, 'There are none.')
    answer(this, flags, lines.join('\n'), records)
  })
}

/** `latchkey manage create-upstream-provider`. */
export async function createProvider(this: Context, flags: SettingsFlags): Promise<void> {
  const settings = await readSettings(this, flags.file)
  await withLatchkey(this, flags, async (deps) => {
    const made = await createOperatorProvider(deps, settings, { check: flags.dryRun ?? false })
    if (made.result !== 'made') throw refusalOf(made)
    const id = ulidFromUuid(made.id)
    if (flags.dryRun) return answer(this, flags, 'Would make the provider.', { dry_run: true })
    answer(this, flags, id, await recordById(deps, made.id))
    if (!flags.json) note(this, `Register this address there: ${callbackUri(deps, { id })}`)
  })
}

/** `latchkey manage update-upstream-provider`. */
export async function updateProvider(this: Context, flags: SettingsFlags, ulid: string): Promise<void> {
  const settings = await readSettings(this, flags.file)
  await withLatchkey(this, flags, async (deps) => {
    const id = await requireMade(deps, ulid)
    const changed = await changeOperatorProvider(deps, id, settings, { check: flags.dryRun ?? false })
    if (changed.result !== 'changed') throw refusalOf(changed)
    await done(this, flags, deps, id, { did: `Changed ${ulid}.`, would: `change ${ulid}` })
  })
}

/** `latchkey manage enable-upstream-provider`. */
export function enableProvider(this: Context, flags: ChangeFlags, ulid: string): Promise<void> {
  return switchProvider(this, flags, ulid, true)
}

/** `latchkey manage disable-upstream-provider`. */
export function disableProvider(this: Context, flags: ChangeFlags, ulid: string): Promise<void> {
  return switchProvider(this, flags, ulid, false)
}

async function switchProvider(
  context: Context,
  flags: ChangeFlags,
  ulid: string,
  enabled: boolean,
): Promise<void> {
  await withLatchkey(context, flags, async (deps) => {
    const id = await requireMade(deps, ulid)
    if (!flags.dryRun && !(await setProviderEnabled(deps, id, enabled)))
      throw refusalOf({ result: 'not_found' })
    await done(context, flags, deps, id, {
      did: enabled ? `${ulid} is offered.` : `${ulid} is not offered any more; its links stay.`,
      would: enabled ? `offer ${ulid}` : `take ${ulid} away; its links stay`,
    })
  })
}

/** `latchkey manage delete-upstream-provider`. */
export async function deleteProvider(
  this: Context,
  flags: ChangeFlags & { links?: boolean },
  ulid: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const id = await requireMade(deps, ulid)
    const { links = false, dryRun = false } = flags
    const outcome = await removeOperatorProvider(deps, id, { links, check: dryRun })
    if (outcome.result === 'not_found') throw refusalOf({ result: 'not_found' })
    const { accounts, stranded } = outcome.hanging
    const hanging = `${counted(accounts, 'linked account')}, of which ${stranded} without a password or another provider`
    if (outcome.result === 'linked')
      throw new CommandError(
        `It has ${hanging}. Take it away with disable-upstream-provider, or delete it with --links.`,
      )
    const record = { id: ulid, links: accounts, stranded, ...(dryRun && { dry_run: true }) }
    answer(this, flags, `${dryRun ? 'Would delete' : 'Deleted'} ${ulid}, with ${hanging}.`, record)
  })
}

/** The settings that somebody gives, as an entry of `upstream_oauth2.providers`. @throws CommandError */
async function readSettings(context: Context, file: string | undefined): Promise<Record<string, unknown>> {
  const name = file ?? 'standard input'
  let settings: unknown
  try {
    settings = parse(file === undefined ? await readAll(context.stdin) : await readFile(file, 'utf8'))
  } catch (cause) {
    // The first line only: the library goes on with an excerpt, which may hold a secret.
    const [line = ''] = messageOf(cause).split('\n')
    throw new CommandError(`${name} is not usable: ${line.replace(/:$/, '')}.`, { cause })
  }
  if (isRecord(settings)) return settings
  throw new CommandError(
    `${name} must hold the settings of one provider, as under one entry of upstream_oauth2.providers.`,
  )
}

/** The uuid of a provider that was made here or by the admin API. @throws CommandError */
async function requireMade({ sql }: Pick<Deps, 'sql'>, ulid: string): Promise<string> {
  const id = uuidFromUlid(ulid)
  const [row] = id === undefined ? [] : await findUpstreamProvider(sql, id)
  if (!row) throw new CommandError(`There is no provider ${ulid}.`)
  if (row.by_api) return row.id
  throw new CommandError(
    `${ulid} is a provider of the configuration: change it in upstream_oauth2.providers, and reload the server (SIGHUP).`,
  )
}

function refusalOf(refused: Refused): CommandError {
  switch (refused.result) {
    case 'invalid':
      return new CommandError(refused.problems.map(problemSentence).join('\n'))
    case 'exists':
      return new CommandError('There is a provider of this id. Leave the id out to get a new one.')
    case 'not_found':
      return new CommandError('There is no such provider any more.')
    case 'outdated':
      return new CommandError('Somebody else changed it at the same moment. Try again.')
    case 'sealed':
      return new CommandError(
        'Its secret cannot be read any more: secrets.encryption is another one than when it was stored. Give client_secret too.',
      )
  }
}

async function done(
  context: Context,
  flags: ChangeFlags,
  deps: Pick<Deps, 'sql'>,
  id: string,
  { did, would }: { did: string; would: string },
): Promise<void> {
  const record = await recordById(deps, id)
  if (flags.dryRun) answer(context, flags, `Would ${would}.`, { ...record, dry_run: true, would })
  else answer(context, flags, did, record)
}

/** A provider as JSON: names as in the admin API. */
const recordOf = (row: StoredProviderRow) => ({
  id: ulidFromUuid(row.id),
  issuer: row.issuer,
  human_name: row.human_name,
  brand_name: row.brand_name,
  registration_token_required: row.registration_token_required,
  disabled_at: row.disabled_at?.toISOString() ?? null,
  origin: row.by_api ? 'api' : 'configuration',
  links: row.links,
})

async function recordById({ sql }: Pick<Deps, 'sql'>, id: string): Promise<object> {
  const row = (await listStoredProviders(sql)).find((one) => one.id === id)
  return row ? recordOf(row) : {}
}
