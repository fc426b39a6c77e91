import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IntlMessageFormat } from 'intl-messageformat'

/** What is to be said of the operator's own texts. `fault`: a page or mail would break. */
export interface MessageFinding {
  fault: boolean
  /** Begins with the file and, where it is about one text, the line. */
  sentence: string
}

/**
 * Looks through the operator's texts (`templates.translations_overlay_path`), which have been read without an error:
 * arguments that no page gives are faults; keys that nothing uses, and how much of a new language is there, are told.
 * `isUsed` knows keys of the operator's own templates.
 */
export function ownMessageFindings(
  directory: string,
  ours: { english: Readonly<Record<string, string>>; languages: readonly string[] },
  isUsed: (key: string) => boolean,
): MessageFinding[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const path = join(directory, file)
      const text = readFileSync(path, 'utf8')
      const lang = file.slice(0, -'.json'.length)
      const messages = Object.entries(JSON.parse(text) as Record<string, string>)
      const missing =
        Object.keys(ours.english).length - messages.filter(([key]) => key in ours.english).length
      return [
        ...messages.flatMap(([key, message]) => {
          const english = ours.english[key]
          const place = placeOfKey(path, text, key)
          if (english === undefined)
            return isUsed(key) ? [] : [{ fault: false, sentence: `${place}: nothing uses the text ${key}` }]
          const given = argumentsOf(english, 'en')
          const unknown = argumentsOf(message, lang).filter((name) => !given.includes(name))
          return unknown.map((name) => ({
            fault: true,
            sentence: `${place}: ${key} has {${name}}, which is not given to it${given.length > 0 ? `; {${given.join('}, {')}} is` : ''}`,
          }))
        }),
        ...(ours.languages.includes(lang) || missing === 0
          ? []
          : [{ fault: false, sentence: `${path}: ${missing} texts are missing and will be English` }]),
      ]
    })
}

/** Names of the arguments of a message, also inside plural and select branches, each once and in order. */
export function argumentsOf(message: string, lang: string): string[] {
  const found = new Set<string>()
  collect(new IntlMessageFormat(message, lang, undefined, { ignoreTag: true }).getAst(), found)
  return [...found].sort()
}

function collect(nodes: unknown, found: Set<string>): void {
  for (const node of nodes as {
    type: number
    value?: unknown
    options?: Record<string, { value: unknown }>
  }[]) {
    // 0 is literal text and 7 the `#` of a plural; all others name an argument.
    if (node.type !== 0 && node.type !== 7) found.add(String(node.value))
    for (const option of Object.values(node.options ?? {})) collect(option.value, found)
  }
}

/** The file and the line of a text in it. */
export function placeOfKey(path: string, text: string, key: string): string {
  const at = text.split('\n').findIndex((line) => line.includes(`"${key}"`))
  return at < 0 ? path : `${path}, line ${at + 1}`
}

/** One text a line, as our files have it: the first line that is none, to say where a file stops being JSON. */
export function brokenLine(text: string): number | undefined {
  const lines = text.split('\n')
  const at = lines.findIndex(
    (line, index) =>
      !/^\s*[{}]?\s*$/.test(line) &&
      !(
        /^\s*"(?:[^"\\]|\\.)*"\s*:\s*"(?:[^"\\]|\\.)*"\s*(,?)\s*$/.test(line) &&
        line.trimEnd().endsWith(',') !== /^\s*\}\s*$/.test(lines[index + 1] ?? '}')
      ),
  )
  return at < 0 ? undefined : at + 1
}
