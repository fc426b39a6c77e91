import type { Json } from '../../sql/connect.ts'
import {
  countProviderAccounts,
  deleteOperatorProvider,
  insertOperatorProvider,
  listOperatorProviders,
  lockProvider,
  type OperatorProviderRow,
  type ProviderSettings,
  switchOperatorProvider,
  updateOperatorProvider,
} from '../../sql/operator-providers.ts'
import { type ProviderProblem, readProvider } from '../config/provider.ts'
import type { Deps } from '../deps.ts'
import { isRecord } from '../lib/record.ts'
import { transact } from '../lib/transact.ts'
import { newId, ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { providerFaults } from './provider-faults.ts'
import { openProviderSecrets, type ProviderSecrets, secretsContext, withSecrets } from './provider-source.ts'

/**
 * Providers that the people who run the server make at run time. What is said of one is what a file would say of it, and
 * is checked as that is. In force in this process at once, in the others within two seconds.
 */

type Needs = Pick<Deps, 'sql' | 'clock' | 'random' | 'secrets' | 'providers' | 'log'>

/** What is said of a provider: members of `upstream_oauth2.providers[]`. */
export type Settings = Readonly<Record<string, unknown>>

/** Why a provider was not made or changed. */
export type Refused =
  | { result: 'invalid'; problems: ProviderProblem[] }
  /** There is one of this id. */
  | { result: 'exists' }
  | { result: 'not_found' }
  /** Somebody else changed it meanwhile. */
  | { result: 'outdated' }
  /** Its secrets were sealed under a key that is gone: new ones have to be given. */
  | { result: 'sealed' }

/** Members that hold files of the server, which nobody may read from elsewhere. */
const FILES: readonly (readonly string[])[] = [
  ['client_secret_file'],
  ['sign_in_with_apple', 'private_key_file'],
]

/** Makes a provider; gives its id (uuid). `check`: says what would be refused, and makes nothing. */
export async function createOperatorProvider(
  deps: Needs,
  given: Settings,
  { check = false } = {},
): Promise<{ result: 'made'; id: string } | Refused> {
  const now = deps.clock.now()
  const named = typeof given.id === 'string' ? uuidFromUlid(given.id) : undefined
  if (given.id !== undefined && named === undefined)
    return { result: 'invalid', problems: [{ path: ['id'], text: 'must be a ULID' }] }
  const id = named ?? newId(now, deps.random)
  const { enabled = true, id: _, ...rest } = given
  const { settings, secrets } = apart(rest)
  const problems = await problemsOf(id, { ...settings, enabled }, secrets)
  if (problems.length > 0) return { result: 'invalid', problems }
  if (deps.providers.configured.some((one) => one.id === ulidFromUuid(id))) return { result: 'exists' }
  if (check) return { result: 'made', id }
  const [made] = await insertOperatorProvider(deps.sql, {
    ...(await columnsOf(deps, id, settings, secrets)),
    now,
    disabledAt: enabled === false ? now : null,
  })
  if (!made) return { result: 'exists' }
  deps.log.info('upstream.provider_created', { provider_id: ulidFromUuid(id) })
  await deps.providers.refresh()
  return { result: 'made', id }
}

/** Changes a provider: what is absent stays, null takes a member away, and a secret that is not given stays. */
export async function changeOperatorProvider(
  deps: Needs,
  id: string,
  given: Settings,
  { check = false } = {},
): Promise<{ result: 'changed' } | Refused> {
  const row = await rowOf(deps, id)
  if (!row) return { result: 'not_found' }
  const { enabled, id: _, ...rest } = given
  const changes = apart(rest)
  const before = await openProviderSecrets(deps.secrets, row)
  if (!before && !givesAll(row, changes.secrets)) return { result: 'sealed' }
  const settings = withoutNulls({ ...row.settings, ...changes.settings })
  const secrets = withoutNulls({ ...before, ...changes.secrets }) as ProviderSecrets
  // The key goes with what it is for.
  if (settings.sign_in_with_apple === undefined) delete secrets.private_key
  const problems = await problemsOf(id, { ...settings, ...(enabled !== undefined && { enabled }) }, secrets)
  if (problems.length > 0) return { result: 'invalid', problems }
  if (check) return { result: 'changed' }
  const columns = await columnsOf(deps, id, settings, secrets)
  const isChanged = await transact(deps.sql, async (tx) => {
    const [changed] = await updateOperatorProvider(tx, columns, row.revision)
    if (changed && enabled !== undefined)
      await switchOperatorProvider(tx, id, enabled === false ? deps.clock.now() : null)
    return changed !== undefined
  })
  if (!isChanged) return { result: 'outdated' }
  deps.log.info('upstream.provider_changed', { provider_id: ulidFromUuid(id) })
  await deps.providers.refresh()
  return { result: 'changed' }
}

/** Offers a provider, or takes it away: its links stay, and work again when it comes back. False when there is no such. */
export async function setProviderEnabled(
  deps: Pick<Needs, 'sql' | 'clock' | 'providers' | 'log'>,
  id: string,
  enabled: boolean,
): Promise<boolean> {
  const [switched] = await switchOperatorProvider(deps.sql, id, enabled ? null : deps.clock.now())
  if (!switched) return false
  deps.log.info(enabled ? 'upstream.provider_enabled' : 'upstream.provider_disabled', {
    provider_id: ulidFromUuid(id),
  })
  await deps.providers.refresh()
  return true
}

/** What hangs on a provider: accounts that it leads to, and those of them that nothing else leads into. */
export interface Hanging {
  accounts: number
  stranded: number
}

/** Deletes a provider, unless people are linked to it and `links` does not say that the links may go too. */
export async function removeOperatorProvider(
  deps: Pick<Needs, 'sql' | 'providers' | 'log'>,
  id: string,
  { links, check = false }: { links: boolean; check?: boolean },
): Promise<{ result: 'deleted' | 'linked'; hanging: Hanging } | { result: 'not_found' }> {
  const outcome = await transact(deps.sql, async (tx) => {
    const [locked] = await lockProvider(tx, id)
    const [hanging] = await countProviderAccounts(tx, id)
    if (!locked || !hanging) return { result: 'not_found' as const }
    if (hanging.accounts > 0 && !links) return { result: 'linked' as const, hanging }
    if (!check) await deleteOperatorProvider(tx, id)
    return { result: 'deleted' as const, hanging }
  })
  if (outcome.result === 'deleted' && !check) {
    const { accounts } = outcome.hanging
    deps.log.info('upstream.provider_deleted', { provider_id: ulidFromUuid(id), accounts })
    await deps.providers.refresh()
  }
  return outcome
}

const rowOf = async ({ sql }: Pick<Deps, 'sql'>, id: string): Promise<OperatorProviderRow | undefined> =>
  (await listOperatorProviders(sql)).find((row) => row.id === id)

/** Settings, and the secrets among them. A secret of null is one that goes. */
function apart(given: Settings): {
  settings: Record<string, unknown>
  secrets: { client_secret?: unknown; private_key?: unknown }
} {
  const { client_secret, ...settings } = given
  const secrets = { ...(client_secret !== undefined && { client_secret }) }
  if (!isRecord(settings.sign_in_with_apple)) return { settings, secrets }
  const { private_key, ...apple } = settings.sign_in_with_apple
  return {
    settings: { ...settings, sign_in_with_apple: apple },
    secrets: { ...secrets, ...(private_key !== undefined && { private_key }) },
  }
}

const withoutNulls = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))

/** Whether every secret that a row must have is given anew. */
const givesAll = ({ settings }: OperatorProviderRow, secrets: object): boolean =>
  'client_secret' in secrets || ('private_key' in secrets && settings.sign_in_with_apple !== undefined)

/** What a file could not say either, or what only a file can; and what is wrong with templates and expressions. */
async function problemsOf(
  id: string,
  settings: Record<string, unknown>,
  secrets: object,
): Promise<ProviderProblem[]> {
  for (const path of FILES) {
    const holder: unknown = path.length === 1 ? settings : settings[path[0] ?? '']
    if (isRecord(holder) && holder[path.at(-1) ?? ''] !== undefined)
      return [{ path, text: 'names a file, which only the configuration can do: give the secret itself' }]
  }
  const { provider, problems } = await readProvider(withSecrets(ulidFromUuid(id), settings, secrets))
  if (!provider) return problems
  return providerFaults(provider).map(({ key, fault }) => ({
    path: key.split('.'),
    text: `cannot be read: ${fault}`,
  }))
}

async function columnsOf(
  deps: Pick<Needs, 'secrets' | 'clock' | 'random'>,
  id: string,
  settings: Record<string, unknown>,
  secrets: object,
): Promise<ProviderSettings> {
  const text = (name: string): string | null => {
    const value = settings[name]
    return typeof value === 'string' ? value : null
  }
  const sealed =
    Object.keys(secrets).length === 0
      ? null
      : await deps.secrets.seal(JSON.stringify(secrets), secretsContext(id))
  return {
    id,
    issuer: text('issuer'),
    humanName: text('human_name'),
    brandName: text('brand_name'),
    registrationTokenRequired: settings.registration_token_required === true,
    settings: settings as Json,
    sealedSecrets: sealed,
    revision: newId(deps.clock.now(), deps.random),
  }
}
