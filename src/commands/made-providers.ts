import { createSql } from '../../sql/connect.ts'
import type { Config } from '../config/schema.ts'
import { deriveSecrets } from '../crypto/seal.ts'
import { createProviderSource } from '../identity/provider-source.ts'
import { isThere } from '../lib/is-there.ts'
import { messageOf } from '../lib/thrown.ts'
import { createLog } from '../telemetry/log.ts'
import { embeddedFolder, type Loaded } from './load.ts'
import { openDatabase } from './open-database.ts'

/** Seconds that the database may take to be reached. */
const PATIENCE = 8

/**
 * A configuration with the providers among its own that the admin API made; `why` says why these are not known. For
 * commands that work without a database too: an embedded one that was never started is not made.
 */
export async function withMadeProviders(
  loaded: Loaded,
  signal: AbortSignal,
): Promise<{ config: Config; why?: string }> {
  const { config } = loaded
  if (!config.database && !(await isThere(embeddedFolder(loaded)))) return { config }
  await using open = new AsyncDisposableStack()
  try {
    const database = await openDatabase(loaded, { log: () => {}, signal })
    open.defer(database.close)
    const sql = createSql(
      { ...database.settings, connect_timeout: PATIENCE },
      { max: 1, applicationName: 'latchkey providers', stallTimeout: 10 },
    )
    open.defer(() => sql.end({ timeout: 1 }))
    const source = createProviderSource({
      sql,
      secrets: await deriveSecrets(config.secrets.encryption, config.secrets.previous_encryption),
      log: createLog({ json: false, level: 'error' }),
      configured: config.upstream_oauth2.providers,
    })
    await source.refresh()
    return { config: { ...config, upstream_oauth2: { providers: source.all() } } }
  } catch (error) {
    return { config, why: messageOf(error) }
  }
}
