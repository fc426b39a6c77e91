import type { Sql } from '../../sql/connect.ts'
import { isOutage } from '../../sql/outage.ts'
import { recordActivity } from '../../sql/sessions.ts'
import { monotonic } from '../lib/clock.ts'
import type { Metrics } from '../telemetry/instruments.ts'
import type { Log } from '../telemetry/log.ts'

const KINDS = ['browser', 'oauth', 'compat', 'personal'] as const
type Kind = (typeof KINDS)[number]

/** Remembers when and from where sessions were last seen, and writes it once a minute in one statement a kind. */
export interface Activity {
  /** Notes that a session was seen; `ip` only where the request came from the session's own device. */
  record(kind: Kind, sessionId: string, at: Date, ip?: string): void
  /** Writes what was noted. What cannot be written (an outage) is kept for the next time. */
  flush(): Promise<void>
}

/** Sessions that are remembered between two flushes; beyond it the oldest notes are lost, never a request. */
const CAPACITY = 50_000
/** Sessions in one statement. */
const BATCH = 1000

/** An activity record for one process. Call `flush` once a minute and at the stop. */
export function createActivity(
  sql: Sql,
  log: Log,
  metrics: Pick<Metrics, 'registry' | 'activityNotes' | 'activityFlushes'>,
): Activity {
  const seen: Record<Kind, Map<string, { at: Date; ip: string | null }>> = {
    browser: new Map(),
    oauth: new Map(),
    compat: new Map(),
    personal: new Map(),
  }
  const note = (kind: Kind, id: string, at: Date, ip: string | null) => {
    const before = seen[kind].get(id)
    if (before) {
      // In place: this is on the hot path, and most sessions are seen several times a minute.
      if (before.at > at) before.ip ??= ip
      else {
        before.at = at
        before.ip = ip ?? before.ip
      }
      return
    }
    seen[kind].set(id, { at, ip })
    if (seen[kind].size > CAPACITY) {
      const [oldest] = seen[kind].keys()
      if (oldest !== undefined) seen[kind].delete(oldest)
    }
  }
  metrics.registry.observed(
    {
      name: 'mas.activity_tracker.pending_records',
      help: 'Sessions that were seen and not written down yet.',
    },
    () => [[KINDS.reduce((sum, kind) => sum + seen[kind].size, 0)]],
  )
  return {
    record(kind, id, at, ip) {
      metrics.activityNotes.add('record', kind)
      note(kind, id, at, ip ?? null)
    },
    async flush() {
      for (const kind of KINDS) {
        const entries = [...seen[kind]]
        seen[kind].clear()
        for (let from = 0; from < entries.length; from += BATCH) {
          const batch = entries.slice(from, from + BATCH)
          const rows = {
            ids: batch.map(([id]) => id),
            times: batch.map(([, { at }]) => at),
            ips: batch.map(([, { ip }]) => ip),
          }
          const begun = monotonic()
          metrics.activityNotes.add('flush', kind)
          try {
            await recordActivity(sql, kind, rows)
            metrics.activityFlushes.record(monotonic() - begun, 'success')
          } catch (error) {
            metrics.activityFlushes.record(monotonic() - begun, 'failure')
            log.warn('activity.flush_failed', { kind, sessions: batch.length, error })
            // Anything else would fail again, every minute, and hold up the rest.
            if (!isOutage(error)) continue
            for (const [id, { at, ip }] of entries.slice(from)) note(kind, id, at, ip)
            break
          }
        }
      }
    },
  }
}
