import type { TSchema } from '@sinclair/typebox'
import { type Layers, replaceAt } from './merge.ts'
import { isSlip, nearest } from './nearest.ts'
import type { Report } from './report.ts'
import { ConfigSchema } from './schema.ts'
import { namedPaths, shapeOf } from './shape.ts'
import { isMapping } from './validate.ts'

/** The variables that say where the configuration is, and set nothing in it. */
const LOCATIONS = ['LATCHKEY_CONFIG']

const variableOf = (path: readonly string[]): string =>
  `LATCHKEY_${path.map((key) => key.replaceAll('-', '_').toUpperCase()).join('__')}`

/** Every variable, with what it sets. */
export const knownVariables = (): Map<string, { path: string[]; schema: TSchema }> =>
  new Map([...namedPaths(ConfigSchema)].map(([path, schema]) => [variableOf(path), { path, schema }]))

/**
 * Lays the variables over the files. `LATCHKEY_A__B` replaces `a.b` whatever the files say (lists and mappings as
 * JSON); `LATCHKEY_A__B_FILE` does the same with the trimmed content of a file. An empty variable counts as unset.
 */
export async function applyEnvironment(
  layers: Layers,
  env: Record<string, string | undefined>,
  readFile: (path: string) => Promise<Uint8Array>,
  report: Report,
): Promise<void> {
  const known = knownVariables()
  const given = Object.entries(env)
    .filter((entry): entry is [string, string] => entry[0].startsWith('LATCHKEY_') && Boolean(entry[1]))
    .filter(([name]) => !LOCATIONS.includes(name))
    // A section as a whole first, then single keys inside it.
    .sort(([a], [b]) => a.split('__').length - b.split('__').length || (a < b ? -1 : 1))
  const names = new Set(given.map(([name]) => name))

  for (const [name, text] of given) {
    const direct = known.get(name)
    const twin = direct === undefined && name.endsWith('_FILE') ? known.get(name.slice(0, -5)) : undefined
    const target = direct ?? twin
    if (target === undefined) {
      report.problems.push(unknownVariable(name, known))
      continue
    }
    if (twin !== undefined && names.has(name.slice(0, -5))) {
      report.problems.push(`${name.slice(0, -5)} and ${name} are both set: keep one of them.`)
      continue
    }
    const content = twin === undefined ? text : await fileContent(text, readFile)
    if (content === undefined) {
      report.problems.push(`${name}: its file can't be read. Check the path and the permissions.`)
      continue
    }
    const value = coerce(content, target.schema)
    if (value === undefined) {
      report.problems.push(`${name}: must be ${expected(target.schema)}.`)
      continue
    }
    replaceAt(layers, target.path, value, name)
    // A variable beats a file, also where one gives `secret` and the other `secret_file`.
    const other = counterpart(target.path)
    const rival = variableOf(other)
    if (known.has(rival) && !names.has(rival)) replaceAt(layers, other, undefined, name)
  }
}

/**
 * MAS's own variables fill the gaps of the files, as they do there (reference operations 1.1): `MAS_DATABASE_URI` is
 * `database.uri`. Every `_` parts two keys, so that a key with one in its name has no such variable; what else begins so
 * (Kubernetes describes a service named `mas` in variables) is nobody's key. Gives the names of those without effect.
 */
export function addMasVariables(layers: Layers, env: Record<string, string | undefined>): string[] {
  const values = new Map(
    [...namedPaths(ConfigSchema)].map(([path, schema]) => [path.join('_'), { path, schema }]),
  )
  const others: string[] = []
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('MAS_') || name === 'MAS_CONFIG' || !text) continue
    const key = name.slice('MAS_'.length).toLowerCase()
    const target = values.get(key)
    const fits = target && target.path.length === key.split('_').length && isGap(layers.tree, target.path)
    const value = fits ? coerce(text, target.schema) : undefined
    if (target && value !== undefined) replaceAt(layers, target.path, value, name)
    else others.push(name)
  }
  return others
}

/** Whether the files say nothing of a key, nor name a file with it. */
function isGap(tree: unknown, path: readonly string[]): boolean {
  const [key = '', ...rest] = path
  if (!isMapping(tree)) return tree === undefined || tree === null
  const value = Object.hasOwn(tree, key) ? tree[key] : undefined
  if (rest.length > 0) return isGap(value, rest)
  const file = counterpart([key])[0] ?? ''
  return (value ?? undefined) === undefined && !(Object.hasOwn(tree, file) && tree[file])
}

/** `a.b_file` for `a.b`, and the other way round. */
function counterpart(path: readonly string[]): string[] {
  const last = path.at(-1) ?? ''
  return [...path.slice(0, -1), last.endsWith('_file') ? last.slice(0, -5) : `${last}_file`]
}

async function fileContent(
  path: string,
  readFile: (path: string) => Promise<Uint8Array>,
): Promise<string | undefined> {
  try {
    return new TextDecoder().decode(await readFile(path)).trim()
  } catch {
    return undefined
  }
}

/** The value that a text stands for under the schema; undefined when it does not fit. */
function coerce(text: string, schema: TSchema): unknown {
  const { kind } = shapeOf(schema)
  if (kind === 'text' || kind === 'choice') return text
  if (kind === 'boolean') return ({ true: true, false: false, '1': true, '0': false } as const)[text]
  if (kind === 'maybe-number' && text === 'null') return null
  if (kind === 'number' || kind === 'maybe-number')
    return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
  try {
    const value: unknown = JSON.parse(text)
    if (kind === 'list') return Array.isArray(value) ? value : undefined
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function expected(schema: TSchema): string {
  const { kind } = shapeOf(schema)
  if (kind === 'boolean') return '`true` or `false`'
  if (kind === 'number') return 'a number'
  if (kind === 'maybe-number') return 'a number or `null`'
  return kind === 'list' ? 'a list in JSON, like `["a", "b"]`' : 'a mapping in JSON, like `{"a": "b"}`'
}

function unknownVariable(name: string, known: ReadonlyMap<string, unknown>): string {
  const file = name.endsWith('_FILE')
  const close = nearest(file ? name.slice(0, -5) : name, known.keys())
  const best = close === undefined ? name : isSlip(name, `${close}_FILE`) && file ? `${close}_FILE` : close
  return `${name} is not a variable that Latchkey knows. The nearest one is ${best}.`
}
