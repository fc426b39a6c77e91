/** Two parts of `policy.data` that do not fit: the path of the place, dotted. */
export class MergeError extends Error {
  override readonly name = 'MergeError'
  readonly path: string

  constructor(path: string) {
    super(`policy.data${path === '' ? '' : `.${path}`} has another type there`)
    this.path = path
  }
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const kindOf = (value: unknown): string =>
  Array.isArray(value) ? 'list' : isMapping(value) ? 'mapping' : 'scalar'

/**
 * `over` laid over `base` as MAS merges policy data (reference operations 6.1): mappings key by key, lists one after the
 * other, scalars replaced, null over anything and anything over null.
 *
 * @throws MergeError when a list, a mapping and a scalar meet
 */
export function mergePolicyData(base: unknown, over: unknown, path = ''): unknown {
  if (base === undefined || base === null || over === null) return over
  if (kindOf(base) !== kindOf(over)) throw new MergeError(path)
  if (Array.isArray(base) && Array.isArray(over)) return [...base, ...over]
  if (!isMapping(base) || !isMapping(over)) return over
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(over))
    merged.set(key, mergePolicyData(merged.get(key), value, path === '' ? key : `${path}.${key}`))
  // Not by assignment: a key may be called `__proto__`.
  return Object.fromEntries(merged)
}

/** Without what was set to null: for the rules that is the same as never said. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(withoutNulls)
  if (!isMapping(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === null ? [] : [[key, withoutNulls(item)]])),
  )
}
