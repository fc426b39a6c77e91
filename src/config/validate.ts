import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { editDistance, isSlip, nearest } from './nearest.ts'
import { anyOf, type Path, type Report } from './report.ts'
import { ConfigSchema, type RawConfig } from './schema.ts'
import { allPaths, shapeOf } from './shape.ts'

export const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Checks `input` against the schema and fills in the defaults. Reports every problem; sections with one come back as
 * their defaults and are named in `broken`. `given` is what was written, tidied, without defaults.
 */
export function validate(
  input: unknown,
  report: Report,
): { raw: RawConfig; given: Record<string, unknown>; broken: ReadonlySet<string> } {
  const broken = new Set<string>()
  const noting: Report = {
    ...report,
    problem: (path, text) => {
      broken.add(String(path[0] ?? ''))
      report.problem(path, text)
    },
  }
  const tidied = tidy(ConfigSchema, input ?? {}, [], noting)
  const given = isMapping(tidied) ? tidied : {}
  const filled = Value.Default(ConfigSchema, structuredClone(given))

  const seen = new Set<string>()
  for (const error of Value.Errors(ConfigSchema, filled)) {
    if (seen.has(error.path)) continue
    seen.add(error.path)
    noting.problem(fromPointer(error.path), fault(error.schema, error.value))
  }
  normaliseUrls(ConfigSchema, filled, [], noting)
  return { raw: withoutBroken(filled, broken), given, broken }
}

/** The checked value, its broken sections replaced by defaults, so that the others can still be looked at. */
function withoutBroken(filled: unknown, broken: ReadonlySet<string>): RawConfig {
  const sections = Object.entries(isMapping(filled) ? filled : {}).filter(([name]) => !broken.has(name))
  const whole = Value.Default(ConfigSchema, Object.fromEntries(sections))
  if (!Value.Check(ConfigSchema, whole)) throw new Error('the defaults of the schema do not fit the schema')
  return whole
}

const fromPointer = (pointer: string): Path =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))

/**
 * Drops `x-…` keys and keys without a value (an empty `clients:` in YAML is null), reports unknown keys and
 * limiters that are given in part.
 */
function tidy(schema: TSchema, value: unknown, path: Path, report: Report): unknown {
  const shape = shapeOf(schema)
  const container = shape.kind === 'fields' || shape.kind === 'free' ? isMapping(value) : Array.isArray(value)
  if (['fields', 'free', 'list'].includes(shape.kind) && !container && value !== undefined) {
    // Here and not later: filling in the defaults of a mapping would turn an empty list into that mapping.
    report.problem(path, fault(schema, value))
    return undefined
  }
  if (shape.kind === 'list' && Array.isArray(value)) {
    return value.map((item, index) => tidy(shape.items, item, [...path, index], report))
  }
  if (shape.kind !== 'fields' || !isMapping(value)) return value
  const kept: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) {
    const child = Object.hasOwn(shape.properties, key) ? shape.properties[key] : undefined
    if (child === undefined) {
      if (key.startsWith('x-')) continue
      if (!shape.open) report.problem([...path, key], unknownKey(key, Object.keys(shape.properties)))
      else if (item !== null && key !== '__proto__') kept[key] = item
      if (shape.open) report.warn([...path, key], 'is kept, but none of our rules reads it')
      continue
    }
    if (item === null && shapeOf(child).kind !== 'maybe-number') continue
    kept[key] = tidy(child, item, [...path, key], report)
  }
  if (schema.whole === true) {
    for (const key of Object.keys(shape.properties)) {
      if (!Object.hasOwn(kept, key))
        report.problem([...path, key], 'is missing: give both numbers of the limit')
    }
  }
  return kept
}

function unknownKey(key: string, siblings: readonly string[]): string {
  const sibling = nearest(key, siblings)
  if (sibling !== undefined && isSlip(key, sibling)) return `is not a known key. Did you mean \`${sibling}\`?`
  for (const [path] of allPaths(ConfigSchema)) {
    if (path.split('.').at(-1) === key) return `is not a known key here. Did you mean \`${path}\`?`
  }
  return `is not a known key.${hintAt(key, sibling, siblings)} Keys of your own may start with \`x-\`.`
}

/** Known keys that are listed when none of them resembles what was written. */
const LISTED = 12

/** The nearest key where it is near at all; otherwise a name would only mislead, and all of them are told. */
function hintAt(key: string, sibling: string | undefined, siblings: readonly string[]): string {
  if (sibling === undefined) return ''
  const near = editDistance(key.toLowerCase(), sibling.toLowerCase()) <= key.length / 2
  if (near) return ` The nearest known one is \`${sibling}\`.`
  if (siblings.length > LISTED) return ''
  return ` Known here: ${siblings.map((one) => `\`${one}\``).join(', ')}.`
}

/** What is wrong with a value, in a sentence that doesn't repeat the value. */
function fault(schema: TSchema, value: unknown): string {
  if (value === undefined) return 'is missing'
  if (value === '') return 'is empty: give it a value, or leave the key out'
  if (typeof schema.hint === 'string') return `must be ${schema.hint}`
  const shape = shapeOf(schema)
  switch (shape.kind) {
    case 'fields':
    case 'free':
      return 'must be a mapping (keys with values)'
    case 'list':
      return Array.isArray(value)
        ? 'must have at least one entry'
        : 'must be a list (lines that start with `-`)'
    case 'choice':
      return `must be ${anyOf(shape.values.map((one) => `\`${one}\``))}`
    case 'boolean':
      return 'must be `true` or `false`'
    case 'maybe-number':
      return 'must be a number or `null`'
    case 'number':
      return `must be a ${schema.type === 'integer' ? 'whole number' : 'number'}${range(schema)}`
    case 'text':
      return 'must be text: put it in quotes'
  }
}

function range(schema: TSchema): string {
  if (schema.exclusiveMinimum !== undefined) {
    return ` above ${schema.exclusiveMinimum} and below ${schema.exclusiveMaximum}`
  }
  if (schema.maximum !== undefined) return ` from ${schema.minimum} to ${schema.maximum}`
  return schema.minimum === undefined ? '' : ` of at least ${schema.minimum}`
}

/** Replaces every URL by its WHATWG form, in place, and reports those that are none. */
function normaliseUrls(schema: TSchema, value: unknown, path: Path, report: Report): void {
  const shape = shapeOf(schema)
  const normalised = (item: unknown, key: string | number, child: TSchema): unknown => {
    if (child.url === undefined) normaliseUrls(child, item, [...path, key], report)
    if (child.url === undefined || typeof item !== 'string' || item === '') return item
    const parsed = URL.canParse(item) ? new URL(item) : undefined
    const complaint =
      parsed === undefined ? 'must be a full URL, scheme included' : urlFault(parsed, child.url)
    if (complaint !== undefined) report.problem([...path, key], complaint)
    return complaint === undefined ? parsed?.href : item
  }
  if (shape.kind === 'list' && Array.isArray(value)) {
    for (const [index, item] of value.entries()) value[index] = normalised(item, index, shape.items)
  } else if (shape.kind === 'fields' && isMapping(value)) {
    for (const [key, child] of Object.entries(shape.properties))
      if (Object.hasOwn(value, key)) value[key] = normalised(value[key], key, child)
  }
}

function urlFault(url: URL, kind: unknown): string | undefined {
  if (kind === 'any') return undefined
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must start with `https://` or `http://`'
  if (kind !== 'base') return undefined
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or a password'
  if (url.search !== '' || url.hash !== '') return 'must not have a query (`?…`) or a fragment (`#…`)'
  return undefined
}
