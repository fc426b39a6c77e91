import { findClient } from '../sql/clients.ts'
import { createSql, type OnQuery, type Sql } from '../sql/connect.ts'
import { hurryJobs } from '../sql/jobs.ts'
import type { DatabaseConfig } from '../sql/location.ts'
import { countAppSessions } from '../sql/sessions.ts'
import { findUser } from '../sql/users.ts'
import type { Config } from './config/schema.ts'
import { ownModule } from './config/shipped.ts'
import { createPasswords, type Passwords } from './crypto/passwords.ts'
import { deriveSecrets, type Secrets } from './crypto/seal.ts'
import type { Peers } from './http/client-ip.ts'
import type { PublicFetchOptions } from './http/fetch-public.ts'
import { createOutgoingFetch, createProxyOf } from './http/outgoing.ts'
import { createPlaces } from './http/places.ts'
import { createUrls, type Urls } from './http/urls.ts'
import { type Activity, createActivity } from './identity/activity.ts'
import { directoryFaults } from './identity/directory-claims.ts'
import { registerFigures } from './identity/figures.ts'
import type { Guessers } from './identity/limits.ts'
import { createPolicyData, type PolicyDataSource } from './identity/policy-data.ts'
import { createProviderSource, type ProviderSource } from './identity/provider-source.ts'
import { createJobs, HOMESERVER_JOBS, type Jobs } from './jobs/jobs.ts'
import { createDirectory, type Directory } from './ldap/directory.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { currentFacts } from './lib/current-request.ts'
import { type Network, parseNetwork } from './lib/ip.ts'
import { type Random, systemRandom } from './lib/random.ts'
import { createMail, type Mail } from './mail/mail.ts'
import { createHomeserver } from './matrix/homeserver/create.ts'
import type { Fetch, Homeserver } from './matrix/homeserver/homeserver.ts'
import { type AccessTokens, createAccessTokens } from './oauth/access-token.ts'
import { type ClientKeys, createClientKeys } from './oauth/client-keys.ts'
import { createRotations, type Rotations } from './oauth/grants/refresh-token.ts'
import { createKeyring, type Keyring } from './oauth/keyring.ts'
import { countedPolicy } from './policy/counted.ts'
import { createOpaModule } from './policy/opa/module.ts'
import { entrypointsOf, modulePolicy } from './policy/opa/module-policy.ts'
import { builtInPolicy, type Policy } from './policy/policy.ts'
import { type Assets, createAssets } from './render/assets.ts'
import type { Views } from './render/engine.ts'
import { createTexts } from './render/texts.ts'
import type { Translate } from './render/translate.ts'
import { countedLog } from './telemetry/counted-log.ts'
import { createMetrics, type Metrics } from './telemetry/instruments.ts'
import type { Log } from './telemetry/log.ts'
import { withSpans } from './telemetry/part-spans.ts'
import { readDsn, reportedLog } from './telemetry/sentry.ts'
import { createTracing, type Tracing, type TracingTools } from './telemetry/tracing.ts'
import { watchedFetch } from './telemetry/watched-fetch.ts'
import { createUpstream, templateFaults, type Upstream } from './upstream/upstream.ts'

/**
 * Everything that a request needs, built once by `createDeps` (commands) or by the test harness. A use case names
 * what it takes with `Pick<Deps, …>`.
 */
export interface Deps {
  /** What the files say; among its providers are those that the admin API made, as last read. */
  config: Config
  urls: Urls
  sql: Sql
  clock: Clock
  random: Random
  /** Signing keys. */
  keys: Keyring
  /** Keys derived from `secrets.encryption`. */
  secrets: Secrets
  passwords: Passwords
  homeserver: Homeserver
  /** Who may register, sign in and be granted what: ask it, and not the configuration. */
  policy: Policy
  policyData: PolicyDataSource
  jobs: Jobs
  /** Sends what `queueMail` wrote. */
  mail: Mail
  activity: Activity
  accessTokens: AccessTokens
  rotations: Rotations
  views: Views
  translate: Translate
  assets: Assets
  log: Log
  metrics: Metrics
  /** Set where requests are traced. */
  tracing?: Tracing | undefined
  /** Who is on the other end of each request under way. */
  peers: Peers
  /** Whose wrong secrets this process saw. */
  guessers: Guessers
  clientKeys: ClientKeys
  /** Reaches services that the configuration names, through its proxies. */
  fetch: Fetch
  /** How servers of clients are reached. */
  clientFetch: Pick<PublicFetchOptions, 'allows' | 'ca' | 'proxyOf'>
  providers: ProviderSource
  /** The providers that people may sign in with, and how they are reached. */
  upstream: Upstream
  /** The directory that passwords may be checked with, if there is one. */
  directory?: Directory | undefined
  trustedProxies: readonly Network[]
  /** Aborts when this process begins to stop. */
  stopping: AbortSignal
}

/** What differs between a running service and a test. */
export interface DepsOptions {
  config: Config
  /** The database, when the configuration does not name one: the embedded server's. */
  database: DatabaseConfig
  log: Log
  clock?: Clock
  random?: Random
  /** Reaches the homeserver; only tests give one. */
  fetch?: Fetch
  /** Reaches other services that the configuration names; only tests give one. */
  outgoingFetch?: Fetch
  /** Aborts when this process begins to stop. */
  stopping?: AbortSignal
  /** How spans are kept; only tests say anything. */
  tracing?: Pick<TracingTools, 'sink'>
  /** Where keys of clients may be fetched from; only tests say anything. */
  clientFetch?: Pick<PublicFetchOptions, 'allows' | 'ca'>
  /** What stays when a configuration is replaced at run time: connections, the queue, what was noted. */
  keep?: Pick<
    Deps,
    'sql' | 'jobs' | 'activity' | 'peers' | 'guessers' | 'log' | 'metrics' | 'tracing' | 'stopping'
  >
}

/**
 * Builds everything that requests need. Opens no connection: the pool connects at the first query.
 *
 * @throws KeyError, HomeserverError, OverlayError: the keys, the kind of homeserver or the own pages of the configuration
 *   cannot be used
 */
export async function createDeps(options: DepsOptions): Promise<{ deps: Deps; warnings: string[] }> {
  const { clock = systemClock, random = systemRandom, keep } = options
  const { outgoing, telemetry } = options.config
  const metrics = keep?.metrics ?? createMetrics()
  const proxyOf = createProxyOf(outgoing)
  const outgoingFetch = createOutgoingFetch(proxyOf)
  const report = { clock, random, fetch: outgoingFetch }
  const log = keep?.log ?? countedLog(reportedLog(options.log, telemetry.sentry, report), metrics)
  const tracing = keep
    ? keep.tracing
    : await createTracing(telemetry.tracing, { log, fetch: outgoingFetch, ...options.tracing })
  const sql =
    keep?.sql ??
    createSql(options.database, {
      onQuery: noteQuery(tracing),
      onConnected: (ms) => metrics.connections.record(ms),
    })
  const { encryption, previous_encryption } = options.config.secrets
  const secrets = await deriveSecrets(encryption, previous_encryption)
  const providers = createProviderSource({
    sql,
    secrets,
    log,
    configured: options.config.upstream_oauth2.providers,
  })
  const config = withProviders(options.config, providers)
  const urls = createUrls(config.http)
  const { keyring, warnings } = await createKeyring({ sql, clock, secrets }, config.secrets.keys)
  const { translate, views, staticFolders } = createTexts(
    config.templates,
    createPlaces(config.geoip.path, log),
  )
  const policyData = createPolicyData({ sql, clock, config })
  const clientFetch = { proxyOf, ...options.clientFetch }
  const deps: Deps = {
    config,
    urls,
    sql,
    clock,
    random,
    keys: keyring,
    secrets,
    passwords: withSpans(tracing, 'passwords', createPasswords(config.passwords), ['hash', 'verify']),
    homeserver: createHomeserver(config.matrix, {
      fetch: watchedFetch(options.fetch ?? outgoingFetch, metrics, tracing),
      clock,
      log,
      onBack: () => {
        hurryJobs(sql, HOMESERVER_JOBS).catch((error: unknown) => log.warn('jobs.error', { error }))
      },
    }),
    policy: countedPolicy(
      withSpans(tracing, 'policy', policyOf({ config, sql, log, policyData }), DECISIONS),
      (entrypoint) => metrics.policyDenials.add(entrypoint),
    ),
    policyData,
    jobs: keep?.jobs ?? createJobs(options.database, log, { kept: config.retention, metrics, tracing }),
    activity: keep?.activity ?? createActivity(sql, log, metrics),
    accessTokens: createAccessTokens({ sql, clock }),
    rotations: createRotations({ sql, clock }),
    translate,
    views,
    mail: withSpans(tracing, 'mail', createMail({ config, urls, sql, clock, random, secrets, views, log }), [
      'deliver',
      'send',
    ]),
    assets: createAssets(staticFolders, `${urls.prefix}/`),
    log,
    metrics,
    tracing,
    peers: keep?.peers ?? new WeakMap(),
    guessers: keep?.guessers ?? new Set(),
    fetch: options.outgoingFetch ?? outgoingFetch,
    clientKeys: createClientKeys(clock, clientFetch),
    clientFetch,
    providers,
    directory: config.ldap && createDirectory(config.ldap, { clock, log }),
    upstream: createUpstream({
      config,
      clock,
      log,
      proxyOf,
      publicFetch: clientFetch,
      refresh: providers.refresh,
    }),
    trustedProxies: config.http.trusted_proxies.map(parseNetwork).filter((network) => network !== undefined),
    stopping: keep?.stopping ?? options.stopping ?? new AbortController().signal,
  }
  if (!keep) registerFigures(deps)
  const { dsn } = telemetry.sentry
  if (dsn !== undefined && !readDsn(dsn))
    warnings.push('telemetry.sentry.dsn is not like https://KEY@HOST/PROJECT: no errors are reported.')
  const faults = [
    ...templateFaults(deps.upstream, config),
    ...directoryFaults(deps.upstream.templates, config),
  ]
  return { deps, warnings: [...warnings, ...faults] }
}

/** The configuration, with the providers of the admin API among its own whenever somebody looks. */
const withProviders = (config: Config, providers: ProviderSource): Config => ({
  ...config,
  upstream_oauth2: {
    ...config.upstream_oauth2,
    get providers() {
      return providers.all()
    },
  },
})

/** Counts the queries of the request that runs, and makes spans of them where it is traced. */
const noteQuery =
  (tracing: Tracing | undefined): OnQuery =>
  (text) => {
    const facts = currentFacts()
    if (!facts) return undefined
    facts.queries++
    return tracing?.query(text, facts)
  }

/** What of the policy is asked while somebody waits. */
const DECISIONS = ['register', 'email', 'clientRegistration', 'grant', 'legacyLogin'] as const

/** The built-in rules, or the operator's own module in their place. */
function policyOf({
  config,
  sql,
  log,
  policyData,
}: Pick<Deps, 'config' | 'sql' | 'log' | 'policyData'>): Policy {
  const facts = {
    rules: async () => ({
      data: (await policyData.current()).data,
      serverName: config.matrix.homeserver,
      sessionLimit: config.experimental.session_limit,
    }),
    document: async () => (await policyData.current()).document,
    countSessions: async (userId: string) => {
      const [counts] = await countAppSessions(sql, userId)
      if (!counts) throw new Error('sessions could not be counted')
      return counts
    },
    user: async (id: string) => (await findUser(sql, id))[0],
    client: async (id: string) => (await findClient(sql, id))[0],
  }
  const path = ownModule(config.policy)
  if (path === undefined) return builtInPolicy(facts)
  return modulePolicy(facts, createOpaModule({ path, log }), entrypointsOf(config.policy))
}
