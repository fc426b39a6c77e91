import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A template or a source file. */
export interface Source {
  path: string
  text: string
}

/**
 * Keys that are put together at run time, by their pattern: `*` is what is put in. Each is written like that somewhere in
 * `views` or `src` (`'sessions.kind_' ~ item.kind`, `form_error.${code}`), and what is put in is
 * - `code`: a word that stands in the code, quoted or as the name of a property (the kinds of a union, the codes of errors), or
 * - one of these words, where the code has them in another form or where the pattern would fit other keys too.
 * A new pattern is added here, or the test of the unused keys knows nothing of it.
 */
export const DYNAMIC: Record<string, 'code' | readonly string[]> = {
  'account.card.about_*': 'code',
  'account.flash.*': 'code',
  'account.nav.*': 'code',
  'account_waiting.*_title': ['waiting', 'rejected'],
  'captcha.service.*': 'code',
  'consent.goes_to_*': ['web', 'app', 'device'],
  'deactivation_undo.*.lead': ['ask', 'done', 'gone'],
  'deactivation_undo.*.title': ['ask', 'done', 'gone'],
  'device.done.*.lead': 'code',
  'device.done.*.next': 'code',
  'device.done.*.title': 'code',
  'end_others.*': ['browsers', 'apps', 'tokens'],
  'end_others.*_hint': ['apps', 'tokens'],
  'end_session.lead_*': ['browser', 'oauth', 'compat'],
  'field.*': 'code',
  'field_error.*': 'code',
  'field_error.*.*': 'code',
  'form_error.*': 'code',
  'login.notice.*': 'code',
  'login.provider.*': 'code',
  'mail.notice.*': 'code',
  'mail.recovery.*': ['locked', 'no_password', 'waiting'],
  'mail.verification.*': ['sign_up', 'add'],
  'password.*': ['none', 'not_allowed', 'directory'],
  // The script of the meter has them all; their words are in two lists (`strengthTexts`).
  'password_*.*': 'code',
  'password_suggestion.*': 'code',
  'password_warning.*': 'code',
  'policy.code.*': ['too-many-sessions'],
  'problem.*.lead': 'code',
  'problem.*.title': 'code',
  'reset_keys.*.lead': ['success', 'cancelled'],
  'reset_keys.*.title': ['success', 'cancelled'],
  'scope.*': 'code',
  'security_event.*': 'code',
  'sessions.kind_*': 'code',
  'sessions.sort_*': ['active', 'created', 'name'],
  'sessions.tab_*': ['all', 'browser', 'apps', 'tokens'],
  'sessions.unnamed_*': 'code',
  'sso.cancelled_lead_*': ['web', 'app'],
  'sso.lead_*': ['web', 'app'],
  'sso.title_*': ['web', 'app'],
  'upstream.import_*': 'code',
  'upstream.problem.*': 'code',
  'upstream.problem.claim_missing_*': ['localpart', 'displayname', 'email'],
  'username_status.*': 'code',
}

/** Every template and every source file below a folder. */
export function readSources(root: string, folders: readonly string[] = ['views', 'src']): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(html|txt|subject|ts)$/.test(path))
      .map((path) => ({
        path: `${folder}/${path}`,
        text: readFileSync(join(root, folder, path), 'utf8'),
      })),
  )
}

const asRegex = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '([^.]+)')}$`)

/** Keys that templates and code name outright, each with where: the first argument of `t`, `has_text`, `.text`, `.has`. */
export function namedKeys(sources: readonly Source[]): Map<string, string> {
  const named = new Map<string, string>()
  for (const { path, text } of sources) {
    const calls = path.endsWith('.ts')
      ? text.matchAll(/\.(?:text|has)\(\s*[\w.]+,\s*('[a-z_]+(?:\.[\w-]+)+')/g)
      : text.matchAll(/\b(?:t|has_text)\(((?:'[^']*'|[^'(),~])+)(?=[,)])/g)
    for (const [, argument = ''] of calls)
      for (const [, key = ''] of argument.matchAll(/'([a-z_]+(?:\.[\w-]+)+)'/g)) named.set(key, path)
  }
  return named
}

/** How templates and code put keys together, each with where: only what could be a key of `keys`. */
export function dynamicPatterns(sources: readonly Source[], keys: readonly string[]): Map<string, string> {
  const patterns = new Map<string, string>()
  for (const { path, text } of sources) {
    const found = path.endsWith('.ts')
      ? [...text.matchAll(/`([a-z_]+[._][^`\s]*\$\{[^`\s]*)`/g)].map(([, key = '']) =>
          key.replaceAll(/\$\{[^}]*\}/g, '*'),
        )
      : [...text.matchAll(/'([a-z_]+(?:\.[a-z_]+)*[._])' ~ (?:[\w.]+|\([^)]*\))(?: ~ '([\w.]+)')?/g)].map(
          ([, begin = '', end = '']) => `${begin}*${end}`,
        )
    for (const pattern of found)
      if (keys.some((key) => asRegex(pattern).test(key))) patterns.set(pattern, path)
  }
  return patterns
}

/** Keys that nothing uses: neither named anywhere nor of a documented pattern with a word that may stand there. */
export function unusedKeys(
  keys: readonly string[],
  sources: readonly Source[],
  dynamic: typeof DYNAMIC = DYNAMIC,
): string[] {
  const code = sources.map(({ text }) => text).join('\n')
  const quoted = new Set([...code.matchAll(/['"`]([\w-]+(?:\.[\w-]+)*)['"`]/g)].map(([, word = '']) => word))
  const properties = new Set([...code.matchAll(/\b(\w+)\??:/g)].map(([, word = '']) => word))
  // Lists of words in one string, such as those of the strength meter.
  const listed = new Set(
    [...code.matchAll(/'((?:[\w]+ ){3,}\w+)'/g)].flatMap(([, words = '']) => words.split(' ')),
  )
  const inCode = (word: string) => quoted.has(word) || properties.has(word) || listed.has(word)
  const patterns = Object.entries(dynamic).map(([pattern, words]) => ({ regex: asRegex(pattern), words }))
  return keys.filter(
    (key) =>
      !quoted.has(key) &&
      !patterns.some(({ regex, words }) => {
        const parts = regex.exec(key)?.slice(1)
        return parts?.every((part) => (words === 'code' ? inCode(part) : words.includes(part))) ?? false
      }),
  )
}
