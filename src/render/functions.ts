import type { BaseContext, FieldError, FormError } from './contexts.ts'
import type { AccountSession } from './contexts-account.ts'
import { FALLBACK_LANGUAGE, type MessageArguments, type Translate } from './translate.ts'

type TemplateFunction = (base: BaseContext, ...args: unknown[]) => unknown

/**
 * The functions that templates call. Each gives plain text or data, which the engine escapes like any other value.
 *
 * - `t(key, name=value, …)`: a message in the page's language
 * - `url(path, continuation='')`: a path below the base, with the continuation as its query
 * - `asset(name)`, `optional_asset(name)`: a static file; the second gives '' when it is not there
 * - `hidden(continuation)`: its pairs, for hidden fields
 * - `href(address)`: the address when a link may carry it, else ''
 * - `place(ip)`: where a network address is, '' when nobody knows
 * - `error_text(field, error)`, `form_error_text(error)`: what to tell a person
 * - `wait(seconds)`, `ago(instant)`, `date_time(instant)`, `moment(instant)`: times in words, the last with its zone
 * - `initial(name)`, `tone(text)`: letter and colour number (1 to 6) of a picture that is not there
 * - `session_name(session)`: what a person calls it
 * - `strength_texts()`: all texts of the strength meter, for its script
 */
export function templateFunctions(
  translate: Translate,
  placeOf: (ip: string, lang: string) => string | undefined = () => undefined,
): Record<string, TemplateFunction> {
  const text = (base: BaseContext, key: string, args?: MessageArguments): string =>
    translate.text(base.lang, key, args)

  const wait = (base: BaseContext, seconds: number): string => {
    if (seconds < 60) return text(base, 'wait.seconds', { count: Math.max(1, Math.ceil(seconds)) })
    const minutes = Math.ceil(seconds / 60)
    if (minutes < 60) return text(base, 'wait.minutes', { count: minutes })
    return text(base, 'wait.hours', { count: Math.ceil(minutes / 60) })
  }

  return {
    t: (base, key, named) => text(base, String(key), messageArguments(named)),
    has_text: (base, key) => translate.has(base.lang, String(key)),
    url: (base, path, continuation) =>
      base.base + String(path) + (continuation ? `?${new URLSearchParams(String(continuation))}` : ''),
    asset: (base, name) => base.assets(String(name)),
    optional_asset: (base, name) => {
      try {
        return base.assets(String(name))
      } catch {
        return ''
      }
    },
    hidden: (_base, continuation) => [...new URLSearchParams(String(continuation))],
    place: (base, ip) => placeOf(String(ip), base.lang) ?? '',
    href: (_base, address) => safeAddress(String(address)),
    error_text: (base, field, error) =>
      fieldErrorText(translate, base.lang, String(field), record(error) as FieldError),
    form_error_text: (base, error) => {
      const { code, message, retry_after_seconds: seconds } = record(error) as FormError
      if (message !== undefined) return message
      if (code !== 'rate_limited') return text(base, `form_error.${code}`)
      return seconds === undefined
        ? text(base, 'form_error.rate_limited_later')
        : text(base, 'form_error.rate_limited', { wait: wait(base, seconds) })
    },
    wait: (base, seconds) => wait(base, Number(seconds)),
    ago: (base, instant) => relativeTime(base, Date.parse(String(instant))) ?? text(base, 'time.just_now'),
    date_time: (base, instant) =>
      dateFormat(base, 'date and time', DATE_AND_TIME).format(Date.parse(String(instant))),
    moment: (base, instant) =>
      dateFormat(base, 'moment', { ...DATE_AND_TIME, month: 'long' }).format(Date.parse(String(instant))),
    initial: (base, name) => initial(base.lang, String(name)),
    tone: (_base, value) => 1 + ([...String(value)].reduce((sum, c) => sum + (c.codePointAt(0) ?? 0), 0) % 6),
    session_name: (base, session) => {
      const shown = record(session) as AccountSession
      return sessionName(shown) || text(base, `sessions.unnamed_${shown.kind}`)
    },
    strength_texts: (base) => strengthTexts(translate, base.lang),
  }
}

/** What a person calls a session; where they have no name for it, what it is known by; '' when that is nothing. */
export const sessionName = ({ name, client_name, user_agent }: AccountSession): string =>
  name || client_name || user_agent || ''

/** An object of a template arrives as a Map, also inside another one. */
function record(value: unknown): unknown {
  if (!(value instanceof Map)) return value
  return Object.fromEntries([...value].map(([key, entry]) => [key, record(entry)]))
}

/** Named arguments arrive as a Map. */
function messageArguments(named: unknown): MessageArguments | undefined {
  if (!(named instanceof Map)) return undefined
  return Object.fromEntries(
    [...named].map(([name, value]) => [String(name), typeof value === 'number' ? value : String(value)]),
  )
}

/** Schemes that run code in our origin when followed; everything else may be a way back to an app. */
const UNSAFE_SCHEMES = new Set(['javascript:', 'data:', 'vbscript:', 'blob:', 'file:', 'about:'])

/** The address when it is safe in `href` or `action` (parsed, not matched: `java\nscript:` is one too), else ''. */
export function safeAddress(address: string): string {
  try {
    return UNSAFE_SCHEMES.has(new URL(address, 'https://base.invalid').protocol) ? '' : address
  } catch {
    return ''
  }
}

/** The text of a field's error: the operator's own, the field's, the general one, or that something is wrong. */
function fieldErrorText(translate: Translate, lang: string, field: string, error: FieldError): string {
  if (error.message !== undefined) return error.message
  for (const key of [`field_error.${field}.${error.code}`, `field_error.${error.code}`]) {
    if (!translate.has(FALLBACK_LANGUAGE, key)) continue
    try {
      return translate.text(lang, key, error.args)
    } catch {
      // An argument is missing: the general text below is better than an error page.
    }
  }
  return translate.text(lang, 'field_error.unspecified')
}

const UNITS: [unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

const DATE_AND_TIME: Intl.DateTimeFormatOptions = {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
  timeZoneName: 'short',
}

/** Made once for each language and, for dates, zone: making one takes longer than a page. */
const dateFormats = new Map<string, Intl.DateTimeFormat>()
const relativeFormats = new Map<string, Intl.RelativeTimeFormat>()

function dateFormat(
  { lang, time_zone = 'UTC' }: BaseContext,
  name: string,
  options: Intl.DateTimeFormatOptions,
): Intl.DateTimeFormat {
  const key = `${lang} ${time_zone} ${name}`
  let format = dateFormats.get(key)
  if (!format) {
    format = new Intl.DateTimeFormat(lang, { ...options, timeZone: time_zone })
    dateFormats.set(key, format)
  }
  return format
}

/** "2 hours ago" within a week, a date beyond. Under a minute, and in the future (clocks differ): undefined. */
function relativeTime(base: BaseContext, then: number): string | undefined {
  const seconds = Math.max(0, Math.floor((Date.parse(base.now) - then) / 1000))
  if (seconds >= 7 * 86_400) {
    return dateFormat(base, 'date', { dateStyle: 'medium' }).format(then)
  }
  let relative = relativeFormats.get(base.lang)
  if (!relative) {
    relative = new Intl.RelativeTimeFormat(base.lang, { numeric: 'auto' })
    relativeFormats.set(base.lang, relative)
  }
  for (const [unit, size] of UNITS) {
    if (seconds >= size) return relative.format(-Math.floor(seconds / size), unit)
  }
  return undefined
}

/** The first letter or digit as a person sees it (a grapheme), upper case; `@` of a Matrix id is skipped. */
function initial(lang: string, name: string): string {
  for (const { segment } of new Intl.Segmenter(lang, { granularity: 'grapheme' }).segment(name)) {
    if (/[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(segment)) return segment.toLocaleUpperCase(lang)
  }
  return '?'
}

/** Keys of zxcvbn that have texts of ours, `password_warning.<key>` and `password_suggestion.<key>`. */
const WARNINGS =
  'straightRow keyPattern simpleRepeat extendedRepeat sequences recentYears dates topTen topHundred common similarToCommon wordByItself namesByThemselves commonNames userInputs pwned'
const SUGGESTIONS =
  'l33t reverseWords allUppercase capitalization dates recentYears associatedYears sequences repeated longerKeyboardPattern anotherWord useWords noNeed pwned'

/** A line for each text, `warning.dates=…`: JSON would be a kilobyte of quotes more, escaped as they are in a page. */
function strengthTexts(translate: Translate, lang: string): string {
  const lines = (name: string, keys: string): string[] =>
    keys.split(' ').map((key) => `${name}.${key}=${translate.text(lang, `password_${name}.${key}`)}`)
  return [
    ...lines('score', '0 1 2 3 4'),
    ...lines('warning', WARNINGS),
    ...lines('suggestion', SUGGESTIONS),
  ].join('\n')
}
