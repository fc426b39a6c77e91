import type { Db } from '../../sql/connect.ts'
import { listOperatorProviders, type OperatorProviderRow } from '../../sql/operator-providers.ts'
import { problemSentence, readProvider } from '../config/provider.ts'
import type { Secrets } from '../crypto/seal.ts'
import { isRecord } from '../lib/record.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import type { Log } from '../telemetry/log.ts'
import type { Provider } from './providers.ts'

/** Milliseconds after which a running process reads again what the admin API made, in this process or another one. */
export const PROVIDERS_FRESH = 2_000

/** The providers of this process: those of the configuration, and those that the admin API made. */
export interface ProviderSource {
  /** Those of the configuration. */
  configured: readonly Provider[]
  /** All of them as last read, also those that are switched off: the configuration's first, then the oldest. */
  all(): readonly Provider[]
  /** Reads those of the admin API anew. Rejects when the database does not answer; what was known stays then. */
  refresh(): Promise<void>
}

/** The secrets of a provider that a row keeps sealed. */
export interface ProviderSecrets {
  client_secret?: string
  private_key?: string
}

/** Ties sealed secrets to their provider: moved to another row they do not open. */
export const secretsContext = (id: string): string => `upstream_provider:${id}`

/** The secrets of a row; undefined when they do not open. */
export async function openProviderSecrets(
  secrets: Pick<Secrets, 'open'>,
  { id, sealed_secrets }: Pick<OperatorProviderRow, 'id' | 'sealed_secrets'>,
): Promise<ProviderSecrets | undefined> {
  if (sealed_secrets === null) return {}
  const text = await secrets.open(sealed_secrets, secretsContext(id))
  return text === undefined ? undefined : (JSON.parse(text) as ProviderSecrets)
}

/** Settings and secrets together, as a file would say them. */
export const withSecrets = (
  id: string,
  settings: Readonly<Record<string, unknown>>,
  { client_secret, private_key }: ProviderSecrets,
): Record<string, unknown> => ({
  ...settings,
  id,
  ...(client_secret !== undefined && { client_secret }),
  ...(private_key !== undefined &&
    isRecord(settings.sign_in_with_apple) && {
      sign_in_with_apple: { ...settings.sign_in_with_apple, private_key },
    }),
})

/** What a process knows of the providers. A provider stays the same object until it is changed. */
export function createProviderSource(deps: {
  sql: Db
  secrets: Secrets
  log: Log
  configured: readonly Provider[]
}): ProviderSource {
  const { configured } = deps
  let known = new Map<string, Provider | undefined>()
  let all: readonly Provider[] = configured
  // An answer that was asked for before a change must not come back after it.
  let asked = 0
  let taken = 0
  return {
    configured,
    all: () => all,
    async refresh() {
      const mine = ++asked
      const rows = await listOperatorProviders(deps.sql)
      const next = new Map<string, Provider | undefined>()
      for (const row of rows) {
        const name = `${row.id} ${row.revision} ${row.disabled_at === null}`
        next.set(name, known.has(name) ? known.get(name) : await read(deps, row))
      }
      if (mine < taken) return
      taken = mine
      known = next
      const ids = new Set(configured.map(({ id }) => id))
      const made = [...next.values()].filter((one) => one !== undefined && !ids.has(one.id)) as Provider[]
      all = made.length === 0 ? configured : [...configured, ...made]
    },
  }
}

/** The provider of a row; undefined, and logged, when it is of no use in this process. */
async function read(
  { secrets, log }: { secrets: Secrets; log: Log },
  row: OperatorProviderRow,
): Promise<Provider | undefined> {
  const id = ulidFromUuid(row.id)
  const opened = await openProviderSecrets(secrets, row)
  if (!opened) {
    log.error('upstream.provider_unreadable', {
      provider_id: id,
      hint: 'secrets.encryption is not the one that its secret was sealed under; give it another secret',
    })
    return undefined
  }
  const { provider, problems } = await readProvider(withSecrets(id, row.settings, opened))
  if (provider) return { ...provider, enabled: row.disabled_at === null }
  log.error('upstream.provider_unusable', {
    provider_id: id,
    problems: problems.map(problemSentence).join(' '),
  })
  return undefined
}
