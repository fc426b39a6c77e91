/** Where in the configuration: keys and list positions. */
export type Path = readonly (string | number)[]

/** A path as it is printed: `http.listeners.0.binds`. */
export const dotted = (path: Path): string => path.join('.')

/** A configuration that can't be used. `problems` has one sentence each; `message` is the first and the count. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: readonly string[]
  /** `missing`: no configuration file was found. `invalid`: it was found and is wrong. */
  readonly reason: 'missing' | 'invalid'

  constructor(problems: readonly string[], reason: 'missing' | 'invalid' = 'invalid') {
    const more = problems.length - 1
    const rest = more === 0 ? '' : ` (and ${more} more ${more === 1 ? 'problem' : 'problems'})`
    super(`${problems[0] ?? 'The configuration is not usable.'}${rest}`)
    this.problems = problems
    this.reason = reason
  }
}

/** Collects what is wrong and what is worth knowing, each with its place. Values never appear: some are secrets. */
export interface Report {
  problems: string[]
  warnings: string[]
  problem(path: Path, text: string): void
  warn(path: Path, text: string): void
}

/** An empty report; `sourceOf` names the file or variable that a path comes from. */
export function createReport(sourceOf: (path: Path) => string): Report {
  const problems: string[] = []
  const warnings: string[] = []
  const sentence = (path: Path, text: string) =>
    path.length === 0 ? `${sourceOf(path)}: ${text}` : `${dotted(path)} in ${sourceOf(path)}: ${text}`
  const add = (to: string[], line: string) => {
    if (!to.includes(line)) to.push(line)
  }
  return {
    problems,
    warnings,
    problem: (path, text) => add(problems, sentence(path, text)),
    warn: (path, text) => add(warnings, sentence(path, text)),
  }
}

/** Words as a list in a sentence: `a, b or c`. */
export const anyOf = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
