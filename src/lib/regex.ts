/**
 * A regular expression of an operator; undefined when it is none. Policies were written for RE2: flags in front of the
 * whole expression (`(?i)`) are understood.
 */
export function parseRegex(source: string): RegExp | undefined {
  const [prefix = '', flags = ''] = /^\(\?([ims]+)\)/.exec(source) ?? []
  try {
    return new RegExp(source.slice(prefix.length), [...new Set(`u${flags}`)].join(''))
  } catch {
    return undefined
  }
}
