import type { Metrics } from './instruments.ts'
import type { Log, LogFields } from './log.ts'

type Count = (metrics: Metrics, fields: LogFields) => void

/** What the events of the log say that has a figure of its own: who logs need not count. */
const COUNTED: Readonly<Record<string, Count>> = {
  'login.password_right': ({ passwordLogins }) => passwordLogins.add('success'),
  'login.failed': ({ passwordLogins }) => passwordLogins.add('mismatch'),
  'client.registered': ({ clientRegistrations }) => clientRegistrations.add('created'),
  'client.reused': ({ clientRegistrations }) => clientRegistrations.add('reused'),
  'client.registration_denied': ({ clientRegistrations }) => clientRegistrations.add('denied'),
  'limit.hit': ({ limitHits }, { limit }) => limitHits.add(String(limit)),
  'mail.sent': ({ mails }, { kind }) => mails.add(String(kind), 'sent'),
  'mail.dropped': ({ mails }, { kind }) => mails.add(String(kind), 'dropped'),
  'mail.failed': ({ mails }, { kind }) => mails.add(String(kind), 'failed'),
  'mail.given_up': ({ mails }, { kind }) => mails.add(String(kind), 'given_up'),
}

/** A log whose events are counted. */
export function countedLog(log: Log, metrics: Metrics): Log {
  const counted =
    (level: keyof Log) =>
    (event: string, fields: LogFields = {}) => {
      metrics.events.add(event, level)
      COUNTED[event]?.(metrics, fields)
      log[level](event, fields)
    }
  return {
    debug: counted('debug'),
    info: counted('info'),
    warn: counted('warn'),
    error: counted('error'),
  }
}
