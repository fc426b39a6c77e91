import {
  ansiColorFormatter,
  compareLogLevel,
  configureSync,
  getLogger,
  jsonLinesFormatter,
  type LogLevel,
  type LogRecord,
} from '@logtape/logtape'
import { codeOf } from '../lib/thrown.ts'
import { ulidFromUuid } from '../lib/ulid.ts'

/** Fields of an event: names in snake_case, values that print; never a secret. */
export type LogFields = Record<string, unknown>

/** The log: an event name (`token.issued`) and fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Field names whose values are never printed, should one slip in. */
const SECRET_FIELDS = [
  /token/i,
  /secret/i,
  /password/i,
  /cookie/i,
  /authorization/i,
  /^(authorization|user|device)_code$/i,
  /assertion/i,
  /hash/i,
]

/**
 * Sends the log to stderr: text for a terminal, JSON lines otherwise. `level` is the least that is printed.
 */
export function createLog(options: { json: boolean; level: 'debug' | 'info' | 'warning' | 'error' }): Log {
  const format = options.json ? jsonLinesFormatter : ansiColorFormatter
  const write = createWriter()
  const sink = (record: LogRecord) =>
    write(format(withFields(record, options.json)), record.level === 'error')
  configureSync({
    reset: true,
    sinks: { stderr: sink },
    loggers: [
      { category: ['logtape', 'meta'], lowestLevel: 'error', sinks: ['stderr'] },
      { category: 'latchkey', lowestLevel: options.level, sinks: ['stderr'] },
    ],
  })
  const logger = getLogger('latchkey')
  const silent = () => {}
  const at = (level: LogLevel, write: (event: string, fields: LogFields) => void): Log['info'] =>
    compareLogLevel(level, options.level) < 0
      ? silent
      : (event, fields = {}) => write(event, describe(fields))
  return {
    debug: at('debug', (event, fields) => logger.debug(event, fields)),
    info: at('info', (event, fields) => logger.info(event, fields)),
    warn: at('warning', (event, fields) => logger.warn(event, fields)),
    error: at('error', (event, fields) => logger.error(event, fields)),
  }
}

/** Characters that wait for the next write at most. */
const HELD = 64 * 1024

/**
 * Writes to stderr. The lines of one turn of the event loop go together: a write of its own took a seventh of what a
 * refresh costs. An error is written at once, with what waits, and so is everything when the process ends.
 */
function createWriter(): (line: string, atOnce: boolean) => void {
  let held = ''
  const flush = () => {
    if (held === '') return
    const text = held
    held = ''
    process.stderr.write(text)
  }
  process.on('exit', flush)
  return (line, atOnce) => {
    if (held === '') setImmediate(flush)
    held += line
    if (atOnce || held.length > HELD) flush()
  }
}

/** Errors print as nothing in JSON: their message, code and causes are what the log needs. */
function describe(fields: LogFields): LogFields {
  const described: LogFields = {}
  for (const [name, value] of Object.entries(fields))
    described[name] = isSecret(name) ? '[redacted]' : describeValue(name, value)
  return described
}

/** Names of fields are few, and a line has up to ten of them. */
const secretNames = new Map<string, boolean>()

function isSecret(name: string): boolean {
  let secret = secretNames.get(name)
  if (secret === undefined) {
    secret = SECRET_FIELDS.some((pattern) => pattern.test(name))
    if (secretNames.size < 1000) secretNames.set(name, secret)
  }
  return secret
}

/** Ids print as ULIDs, which is what admins and clients see of them; the database's form stays inside. */
function describeValue(name: string, value: unknown): unknown {
  if (value instanceof Error) return describeError(value)
  if (Array.isArray(value)) return value.map((item) => describeValue(name, item))
  if (typeof value === 'object' && value?.constructor === Object) return describe(value as LogFields)
  if (typeof value !== 'string') return value
  return name.endsWith('_id') && UUID.test(value) ? ulidFromUuid(value) : printable(value)
}

/** Without control characters: what a stranger wrote must not steer the operator's terminal, or begin a line. */
const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`)

function describeError(error: Error): string {
  const causes: string[] = []
  for (let at: unknown = error; at instanceof Error && causes.length < 5; at = at.cause) {
    const code = codeOf(at)
    causes.push(`${at.name}: ${printable(at.message)}${code === undefined ? '' : ` (${code})`}`)
  }
  // The stack begins with the message once more, which may have several lines.
  const places = (error.stack ?? '').split('\n').filter((line) => /^ +at /.test(line))
  return [causes.join('; caused by '), ...places.slice(0, 5).map(printable)].join('\n')
}

/** In a terminal the fields stand behind the event; JSON lines have them as properties already. */
function withFields(record: LogRecord, json: boolean): LogRecord {
  if (json) return record
  const fields = Object.entries(record.properties).map(([name, value]) => ` ${name}=${String(value)}`)
  return {
    ...record,
    message: [...record.message.slice(0, -1), `${record.message.at(-1) ?? ''}${fields.join('')}`],
  }
}
