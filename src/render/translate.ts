// node:fs and not Bun.file: catalogues are read once, synchronously, before anything is rendered, and this folder
// keeps to what every runtime has.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IntlMessageFormat } from 'intl-messageformat'
import { messageOf } from '../lib/thrown.ts'
import { OverlayError, requireDirectory } from './overlay.ts'
import { brokenLine, placeOfKey } from './own-messages.ts'

/** Arguments of a message by name. */
export type MessageArguments = Record<string, string | number>

/** Texts in the languages that there are catalogues for. */
export interface Translate {
  /** BCP 47 tags of the catalogues, English first. */
  languages: readonly string[]
  /** The same languages, each by its own name. */
  names: readonly { tag: string; name: string }[]
  /** The text of `key` in `lang`, in English when that language lacks it; throws for a key that English lacks. */
  text(lang: string, key: string, args?: MessageArguments): string
  /** The English texts, which every language falls back to. */
  english: Readonly<Record<string, string>>
  /** Whether `key` has a text (in `lang` or in English). */
  has(lang: string, key: string): boolean
}

/** The language of last resort; its catalogue is complete by definition. */
export const FALLBACK_LANGUAGE = 'en'

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/
const RIGHT_TO_LEFT_SCRIPTS = new Set(['Arab', 'Hebr', 'Thaa', 'Syrc', 'Nkoo', 'Adlm', 'Rohg'])

/** The writing direction of a language, from its script (`ar`, `he`, `fa`, `az-Arab` … are right to left). */
export function directionOf(lang: string): 'ltr' | 'rtl' {
  const script = parseLocale(lang)?.maximize().script
  return script !== undefined && RIGHT_TO_LEFT_SCRIPTS.has(script) ? 'rtl' : 'ltr'
}

/**
 * Reads `<directory>/<lang>.json` (flat records of ICU MessageFormat texts) and, on top of them, the same files of the
 * operator's `overlay` directory: single keys or whole languages. Throws for a file that is not such a record.
 *
 * @throws OverlayError the operator's files cannot be read, or hold what is no message
 */
export function createTranslate(options: { directory: string; overlay?: string }): Translate {
  const catalogues = new Map<string, Record<string, string>>()
  for (const [lang, messages] of readCatalogues(options.directory)) catalogues.set(lang, messages)
  if (options.overlay !== undefined) {
    for (const [lang, messages] of readOverlay(options.overlay)) {
      catalogues.set(lang, { ...catalogues.get(lang), ...messages })
    }
  }
  const compiled = new Map<string, IntlMessageFormat>()

  const find = (lang: string, key: string): [lang: string, message: string] | undefined => {
    for (const tag of [lang, FALLBACK_LANGUAGE]) {
      const message = catalogues.get(tag)?.[key]
      if (message !== undefined) return [tag, message]
    }
    return undefined
  }

  const languages = [...catalogues.keys()].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))

  return {
    languages,
    english: catalogues.get(FALLBACK_LANGUAGE) ?? {},
    names: languages.map((tag) => ({ tag, name: ownName(tag) })),
    has: (lang, key) => find(lang, key) !== undefined,
    text(lang, key, args) {
      const found = find(lang, key)
      if (!found) throw new Error(`No message ${key} in the catalogues`)
      const [tag, message] = found
      const cacheKey = `${tag} ${key}`
      let format = compiled.get(cacheKey)
      if (!format) {
        // Tags are not a feature of our messages: a `<` in one is a `<`, and the engine escapes it.
        format = new IntlMessageFormat(message, tag, undefined, { ignoreTag: true })
        compiled.set(cacheKey, format)
      }
      return String(format.format(isolate(args, directionOf(tag))))
    },
  }
}

/** A language in itself, with the large first letter of a list; its tag where the platform has no name. */
function ownName(tag: string): string {
  const name = new Intl.DisplayNames(tag, { type: 'language' }).of(tag) ?? tag
  const [first = ''] = name
  return first.toLocaleUpperCase(tag) + name.slice(first.length)
}

const rank = (lang: string): number => (lang === FALLBACK_LANGUAGE ? 0 : 1)

/**
 * Names of people and apps may run against the direction of the sentence that they stand in. Where that can happen
 * they are wrapped in isolates (U+2068, U+2069), so that they cannot reorder the words around them. Digits cannot, and
 * stay a number that a plural can count.
 */
function isolate(args: MessageArguments | undefined, direction: 'ltr' | 'rtl'): MessageArguments | undefined {
  if (!args) return undefined
  return Object.fromEntries(
    Object.entries(args).map(([name, value]) =>
      typeof value === 'string' && (direction === 'rtl' || RIGHT_TO_LEFT.test(value)) && !/^\d+$/.test(value)
        ? [name, `\u2068${value}\u2069`]
        : [name, value],
    ),
  )
}

function readCatalogues(directory: string): [lang: string, messages: Record<string, string>, path: string][] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .map((file) => {
      const path = join(directory, file)
      const lang = parseLocale(file.slice(0, -'.json'.length))?.toString()
      if (lang === undefined) throw new Error(`${path}: the file name is not a language tag`)
      return [lang, readMessages(path), path]
    })
}

/** The operator's own texts, each looked at now: a broken one would else break the first page that shows it. */
function readOverlay(directory: string): ReturnType<typeof readCatalogues> {
  const key = 'templates.translations_overlay_path'
  requireDirectory(key, directory)
  try {
    const catalogues = readCatalogues(directory)
    for (const [lang, messages, path] of catalogues)
      for (const [name, message] of Object.entries(messages)) checkMessage(path, lang, name, message)
    return catalogues
  } catch (cause) {
    throw new OverlayError(`${key}: ${messageOf(cause).split('\n')[0]}.`, { cause })
  }
}

function checkMessage(path: string, lang: string, name: string, message: string): void {
  try {
    new IntlMessageFormat(message, lang, undefined, { ignoreTag: true })
  } catch (cause) {
    throw new Error(
      `${placeOfKey(path, readFileSync(path, 'utf8'), name)}: the message ${name} is not in ICU MessageFormat (${messageOf(cause)})`,
      { cause },
    )
  }
}

function readMessages(path: string): Record<string, string> {
  const text = readFileSync(path, 'utf8')
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    const line = brokenLine(text)
    const where = line === undefined ? path : `${path}, line ${line}`
    throw new Error(`${where}: is not JSON (${messageOf(cause)})`, { cause })
  }
  if (typeof parsed !== 'object' || parsed === null) throw new Error(`${path}: not a record of messages`)
  const messages: Record<string, string> = Object.create(null)
  for (const [key, message] of Object.entries(parsed)) {
    if (typeof message !== 'string') throw new Error(`${path}: message ${key} is not text`)
    messages[key] = message
  }
  return messages
}

/** Characters of a language tag: real ones have under 40, and ICU takes seconds for one of 200 kB. */
const LONGEST_TAG = 100

function parseLocale(tag: string): Intl.Locale | undefined {
  if (tag.length > LONGEST_TAG) return undefined
  try {
    return new Intl.Locale(tag)
  } catch {
    return undefined
  }
}

/**
 * The best language of `available` for a person: `uiLocales` first (OpenID Connect Core section 3.1.2.1, space
 * separated), then `Accept-Language` by quality (RFC 9110 section 12.5.4), each by lookup (RFC 4647 section 3.4) with
 * likely subtags, so `zh-CN` finds `zh-Hans` and `de-AT` finds `de`. English when nothing matches.
 */
export function chooseLanguage(
  acceptLanguage: string | null,
  available: readonly string[],
  uiLocales?: string,
): string {
  const wanted = [...(uiLocales?.split(' ').filter(Boolean) ?? []), ...parseAcceptLanguage(acceptLanguage)]
  for (const tag of wanted.slice(0, 32)) {
    if (tag === '*') break
    const found = lookup(tag, available)
    if (found !== undefined) return found
  }
  return FALLBACK_LANGUAGE
}

function parseAcceptLanguage(header: string | null): string[] {
  if (header === null || header.length > 1000) return []
  const ranges: { tag: string; quality: number }[] = []
  for (const part of header.split(',')) {
    const [tag = '', ...parameters] = part.split(';').map((text) => text.trim())
    const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2)
    const quality =
      weight === undefined ? 1 : /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0
    if (tag !== '' && quality > 0) ranges.push({ tag, quality })
  }
  // Equal weights keep the order of the header: sort is stable.
  return ranges.sort((a, b) => b.quality - a.quality).map((range) => range.tag)
}

function lookup(tag: string, available: readonly string[]): string | undefined {
  const wanted = parseLocale(tag)
  if (!wanted) return undefined
  const full = wanted.maximize()
  const candidates = [...truncations(wanted.baseName)]
  if (full.script !== undefined) candidates.splice(1, 0, `${full.language}-${full.script}`)
  // The bare language only counts where its own script is the wanted one (`zh-TW` must not get Simplified `zh`).
  for (const candidate of candidates) {
    const found = available.find((tag) => tag.toLowerCase() === candidate.toLowerCase())
    if (found !== undefined && parseLocale(found)?.maximize().script === full.script) return found
  }
  return available.find((tag) => {
    const offered = parseLocale(tag)?.maximize()
    return offered?.language === full.language && offered.script === full.script
  })
}

function* truncations(tag: string): Generator<string> {
  const parts = tag.split('-')
  for (let length = parts.length; length > 0; length--) yield parts.slice(0, length).join('-')
}
