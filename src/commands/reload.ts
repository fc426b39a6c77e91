import type { DatabaseConfig } from '../../sql/location.ts'
import type { Config } from '../config/schema.ts'
import { createDeps, type Deps } from '../deps.ts'
import type { Loaded } from './load.ts'

/** Milliseconds after which the policy module of before is stopped: requests that began with it are done by then. */
const GRACE = 30_000

/** What a new start alone takes over: listeners, connections and derived keys are in use. */
const FIXED: Readonly<Record<string, (config: Config) => unknown>> = {
  http: ({ http: { trusted_proxies: _, listeners, ...rest } }) => ({
    ...rest,
    // Certificates are renewed by themselves; where they are does not change.
    listeners: listeners.map(({ tls, ...listener }) => ({ ...listener, tls: tls?.source })),
  }),
  database: ({ database }) => database,
  'matrix.homeserver': ({ matrix }) => matrix.homeserver,
  'matrix.kind': ({ matrix }) => matrix.kind,
  'secrets.encryption': ({ secrets }) => [secrets.encryption, secrets.previous_encryption],
  retention: ({ retention }) => retention,
  telemetry: ({ telemetry }) => telemetry,
}

/** The new configuration, with what needs a restart as it was. */
export function withFixed(before: Config, next: Config): { config: Config; needsRestart: string[] } {
  const needsRestart = Object.entries(FIXED)
    .filter(([, part]) => !Bun.deepEquals(part(before), part(next)))
    .map(([name]) => name)
  const { database: _, ...rest } = next
  const { encryption, previous_encryption } = before.secrets
  const { homeserver, kind } = before.matrix
  return {
    needsRestart,
    config: {
      ...rest,
      http: { ...before.http, trusted_proxies: next.http.trusted_proxies },
      ...(before.database && { database: before.database }),
      matrix: { ...next.matrix, homeserver, kind },
      secrets: { ...next.secrets, encryption, previous_encryption },
      retention: before.retention,
      telemetry: before.telemetry,
    },
  }
}

/** The sections in which two configurations differ. */
export const changedSections = (before: Config, next: Config): string[] =>
  Object.entries(next)
    .filter(([section, value]) => !Bun.deepEquals(value, before[section as keyof Config]))
    .map(([section]) => section)

/** What a process runs with; SIGHUP replaces it. */
export interface Live {
  deps: Deps
}

/**
 * Reads the configuration again and puts what it says in the place of what was: everything that requests need is built
 * anew beside the old, tried by `check`, and only then handed to `use`. Connections, jobs and what was noted stay.
 * Anything that is wrong leaves the old state as it is, and is logged with the reason.
 */
export async function reload(
  live: Live,
  options: {
    load: () => Promise<Loaded>
    database: DatabaseConfig
    /** Throws when the new state can't be used. */
    check: (next: Deps) => Promise<void>
    use: (next: Deps) => void
  },
): Promise<void> {
  const { deps: before } = live
  const { log } = before
  try {
    const loaded = await options.load()
    const { config, needsRestart } = withFixed(before.config, loaded.config)
    const { deps: next, warnings } = await createDeps({
      config,
      database: options.database,
      log,
      keep: before,
    })
    try {
      await options.check(next)
    } catch (error) {
      next.policy.stop()
      throw error
    }
    for (const warning of [...loaded.warnings, ...warnings]) log.warn('config.warning', { warning })
    options.use(next)
    live.deps = next
    setTimeout(() => before.policy.stop(), GRACE).unref()
    log.info('config.reloaded', { changed: changedSections(before.config, next.config).join(', ') })
    if (needsRestart.length > 0)
      log.warn('config.needs_restart', { sections: needsRestart.join(', '), hint: 'these stay as they were' })
  } catch (error) {
    const problems = error instanceof Error && 'problems' in error ? { problems: error.problems } : {}
    log.error('config.reload_failed', { error, ...problems, hint: 'everything stays as it was' })
  }
}
