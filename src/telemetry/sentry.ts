import packageFile from '../../package.json' with { type: 'json' }
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import { codeOf } from '../lib/thrown.ts'
import type { Log, LogFields } from './log.ts'
import type { OtlpFetch } from './otlp.ts'

/** `telemetry.sentry` of the configuration. */
export interface SentrySettings {
  readonly dsn?: string | undefined
  readonly environment?: string | undefined
  readonly sample_rate: number
}

interface Tools {
  clock: Clock
  random: Random
  fetch: OtlpFetch
}

/** Reports in a minute: a mistake that every request meets must not become a flood. */
const MOST = 60
const MINUTE = 60_000
const DEADLINE = 5_000

/** The address and the key of a DSN, `https://KEY@HOST/PATH/PROJECT`; undefined when it is none. */
export function readDsn(dsn: string): { url: URL; key: string } | undefined {
  if (!URL.canParse(dsn)) return undefined
  const { protocol, host, pathname, username: key } = new URL(dsn)
  const [, path = '', project] = /^(.*)\/(\w+)$/.exec(pathname) ?? []
  if (project === undefined || key === '' || !/^https?:$/.test(protocol)) return undefined
  return { url: new URL(`${protocol}//${host}${path}/api/${project}/envelope/`), key }
}

/**
 * A log whose errors are reported to Sentry, or what speaks like it (GlitchTip), too. Only the error itself goes: its
 * class, message, code and places in the code, the event and the reference. Nothing of the request or the person.
 */
export function reportedLog(log: Log, settings: SentrySettings, tools: Tools): Log {
  const dsn = settings.dsn === undefined ? undefined : readDsn(settings.dsn)
  if (!dsn) return log
  let minute = 0
  let sent = 0
  const report = (event: string, fields: LogFields): void => {
    if (!(fields.error instanceof Error) || !chosen(tools.random, settings.sample_rate)) return
    const now = tools.clock.now()
    const current = Math.floor(now.getTime() / MINUTE)
    if (current !== minute) {
      minute = current
      sent = 0
    }
    if (++sent > MOST) return
    const id = tools.random.bytes(16).toHex()
    const body = envelope(id, now, event, fields, fields.error, settings)
    void send(tools.fetch, dsn, body).catch((error: unknown) => log.debug('sentry.not_sent', { error }))
  }
  return {
    ...log,
    error(event, fields = {}) {
      log.error(event, fields)
      report(event, fields)
    },
  }
}

const chosen = (random: Random, rate: number): boolean => {
  const [high = 0, low = 0] = random.bytes(2)
  return (high * 256 + low) / 65_536 < rate
}

async function send(fetch: OtlpFetch, { url, key }: { url: URL; key: string }, body: string): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-sentry-envelope',
      'x-sentry-auth': `Sentry sentry_version=7, sentry_client=latchkey/${packageFile.version}, sentry_key=${key}`,
    },
    body,
    signal: AbortSignal.timeout(DEADLINE),
  })
  await response.body?.cancel()
}

function envelope(
  id: string,
  now: Date,
  event: string,
  { reference, method, path, job }: LogFields,
  error: Error,
  { environment }: SentrySettings,
): string {
  const payload = {
    event_id: id,
    timestamp: now.getTime() / 1000,
    platform: 'javascript',
    level: 'error',
    logger: event,
    release: `latchkey@${packageFile.version}`,
    ...(environment !== undefined && { environment }),
    tags: { reference, method, path, job },
    exception: { values: causesOf(error).reverse().map(exceptionOf) },
  }
  return [{ event_id: id, sent_at: now.toISOString() }, { type: 'event' }, payload]
    .map((part) => JSON.stringify(part))
    .join('\n')
}

/** An error and what caused it, outermost first. */
function causesOf(error: Error): Error[] {
  const found: Error[] = []
  for (let at: unknown = error; at instanceof Error && found.length < 5; at = at.cause) found.push(at)
  return found
}

function exceptionOf(error: Error) {
  const code = codeOf(error)
  return {
    type: error.name,
    value: code === undefined ? error.message : `${error.message} (${code})`,
    // The place where it was thrown comes last.
    stacktrace: { frames: framesOf(error.stack ?? '').reverse() },
  }
}

const framesOf = (stack: string) =>
  stack.split('\n').flatMap((line) => {
    const [, name, file, row, column] =
      /^\s*at (?:(.*?) \()?(?:file:\/\/)?(.*?):(\d+):(\d+)\)?$/.exec(line) ?? []
    if (file === undefined) return []
    return [
      {
        function: name ?? '?',
        filename: file.replace(/^.*?\/(?=(src|sql|node_modules)\/)/, ''),
        lineno: Number(row),
        colno: Number(column),
        in_app: !file.includes('node_modules'),
      },
    ]
  })
