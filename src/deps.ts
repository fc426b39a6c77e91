import { createSql, type Sql } from '../sql/connect.ts'
import type { DatabaseConfig } from '../sql/location.ts'
import type { Config } from './config/schema.ts'
import { type Keystore, loadKeystore } from './crypto/keystore.ts'
import { createPasswords, type Passwords } from './crypto/passwords.ts'
import { deriveSecrets, type Secrets } from './crypto/seal.ts'
import type { Peers } from './http/client-ip.ts'
import { createUrls, type Urls } from './http/urls.ts'
import { type Activity, createActivity } from './identity/activity.ts'
import type { Guessers } from './identity/limits.ts'
import { createJobs, type Jobs } from './jobs/jobs.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { type Network, parseNetwork } from './lib/ip.ts'
import { type Random, systemRandom } from './lib/random.ts'
import { createHomeserver } from './matrix/homeserver/create.ts'
import type { Fetch, Homeserver } from './matrix/homeserver/homeserver.ts'
import { type Assets, createAssets } from './render/assets.ts'
import { createViews, type Views } from './render/engine.ts'
import { createTranslate, type Translate } from './render/translate.ts'
import type { Log } from './telemetry/log.ts'

/**
 * Everything that a request needs, built once by `createDeps` (commands) or by the test harness. A use case names
 * what it takes with `Pick<Deps, …>`.
 */
export interface Deps {
  config: Config
  urls: Urls
  sql: Sql
  clock: Clock
  random: Random
  /** Signing keys. */
  keys: Keystore
  /** Keys derived from `secrets.encryption`. */
  secrets: Secrets
  passwords: Passwords
  homeserver: Homeserver
  jobs: Jobs
  activity: Activity
  views: Views
  translate: Translate
  assets: Assets
  log: Log
  /** Who is on the other end of each request under way. */
  peers: Peers
  /** Whose wrong secrets this process saw. */
  guessers: Guessers
  trustedProxies: readonly Network[]
}

/** What differs between a running service and a test. */
export interface DepsOptions {
  config: Config
  /** The database, when the configuration does not name one: the embedded server's. */
  database: DatabaseConfig
  log: Log
  clock?: Clock
  random?: Random
  fetch?: Fetch
  /** Folders of static files besides the shipped one, for what is built at the start. */
  assetDirectories?: string[]
}

const VIEWS = new URL('../views', import.meta.url).pathname

/**
 * Builds everything that requests need. Opens no connection: the pool connects at the first query.
 *
 * @throws KeyError, HomeserverError: the keys or the kind of homeserver of the configuration cannot be used
 */
export async function createDeps(options: DepsOptions): Promise<{ deps: Deps; warnings: string[] }> {
  const { config, log, clock = systemClock, random = systemRandom } = options
  const urls = createUrls(config.http)
  const sql = createSql(options.database)
  const { keystore, warnings } = await loadKeystore(config.secrets.keys)
  const { overlay_path, translations_overlay_path } = config.templates
  const translate = createTranslate({
    directory: `${VIEWS}/locales`,
    ...(translations_overlay_path !== undefined && { overlay: translations_overlay_path }),
  })
  const deps: Deps = {
    config,
    urls,
    sql,
    clock,
    random,
    keys: keystore,
    secrets: await deriveSecrets(config.secrets.encryption),
    passwords: createPasswords(config.passwords),
    homeserver: createHomeserver(config.matrix, { fetch: options.fetch ?? fetch }),
    jobs: createJobs(options.database, log),
    activity: createActivity(sql, log),
    translate,
    views: createViews({
      directory: VIEWS,
      translate,
      ...(overlay_path !== undefined && { overlay: overlay_path }),
    }),
    assets: createAssets([`${VIEWS}/static`, ...(options.assetDirectories ?? [])], `${urls.prefix}/`),
    log,
    peers: new WeakMap(),
    guessers: new Set(),
    trustedProxies: config.http.trusted_proxies.map(parseNetwork).filter((network) => network !== undefined),
  }
  return { deps, warnings }
}
