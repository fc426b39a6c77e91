import type { Db } from '../../sql/connect.ts'
import { disableOtherProviders, upsertUpstreamProvider } from '../../sql/upstream-providers.ts'
import type { Deps } from '../deps.ts'
import { uuidFromUlid } from '../lib/ulid.ts'

/**
 * Writes the providers of the configuration into the database; those that left it are marked, and keep their links. One
 * that the admin API made stays as it is, until a configuration names its id: from then on it is the configuration's.
 */
export async function syncProviders(
  deps: Pick<Deps, 'providers' | 'sql' | 'clock' | 'log'>,
  db: Db = deps.sql,
): Promise<void> {
  const now = deps.clock.now()
  const ids: string[] = []
  for (const provider of deps.providers.configured.filter(({ enabled }) => enabled)) {
    const id = uuidFromUlid(provider.id)
    // The configuration was checked: every id is a ULID.
    if (id === undefined) throw new Error(`${provider.id} is not a ULID`)
    ids.push(id)
    await upsertUpstreamProvider(db, {
      id,
      issuer: provider.issuer ?? null,
      humanName: provider.human_name ?? null,
      brandName: provider.brand_name ?? null,
      registrationTokenRequired: provider.registration_token_required,
      now,
    })
  }
  const gone = await disableOtherProviders(db, ids, now)
  if (gone.length > 0) deps.log.info('upstream.providers_gone', { provider_ids: gone.map(({ id }) => id) })
}
