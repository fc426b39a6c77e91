import type { LineOf } from './lines.ts'
import { dotted, type Path } from './report.ts'
import { isMapping } from './validate.ts'

/** The configuration as it comes together from files and variables, and where each part of it came from. */
export interface Layers {
  tree: Record<string, unknown>
  /** What last set a path, by dotted path. */
  origins: Map<string, Origin>
}

/** A file or variable that set something. */
interface Origin {
  source: string
  /** In a file: where in its document that is, and the lines of it. */
  at?: { path: Path; lineOf: LineOf }
}

/** A file that is laid over others. */
interface Source {
  name: string
  lineOf: LineOf
}

export const emptyLayers = (): Layers => ({ tree: {}, origins: new Map() })

/** Lays a document over what is there, as MAS does: mappings recursively, lists appended, the rest replaced. */
export function mergeDocument(layers: Layers, document: Record<string, unknown>, source: Source): void {
  mergeInto(layers, layers.tree, document, source, [])
}

function mergeInto(
  layers: Layers,
  target: Record<string, unknown>,
  document: Record<string, unknown>,
  source: Source,
  path: Path,
): void {
  const { name, lineOf } = source
  for (const [key, value] of Object.entries(document)) {
    const here = [...path, key]
    const before = Object.hasOwn(target, key) ? target[key] : undefined
    layers.origins.set(dotted(here), { source: name, at: { path: here, lineOf } })
    if (isMapping(value) && isMapping(before)) {
      mergeInto(layers, before, value, source, here)
    } else if (Array.isArray(value)) {
      const kept: unknown[] = Array.isArray(before) ? before : []
      value.forEach((_, index) => {
        const at = { path: [...here, index], lineOf }
        layers.origins.set(dotted([...here, kept.length + index]), { source: name, at })
      })
      define(target, key, [...kept, ...value])
    } else if (isMapping(value)) {
      const fresh = {}
      define(target, key, fresh)
      mergeInto(layers, fresh, value, source, here)
    } else {
      define(target, key, value)
    }
  }
}

/** Sets a key as data, also `__proto__` (validation then refuses it as unknown). */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
}

/** Replaces what is at `path`, whatever it was; `undefined` removes it. */
export function replaceAt(layers: Layers, path: readonly string[], value: unknown, source: string): void {
  let target = layers.tree
  for (const [depth, key] of path.slice(0, -1).entries()) {
    const next = Object.hasOwn(target, key) ? target[key] : undefined
    if (isMapping(next)) {
      target = next
      continue
    }
    if (value === undefined) return
    const fresh: Record<string, unknown> = {}
    define(target, key, fresh)
    layers.origins.set(dotted(path.slice(0, depth + 1)), { source })
    target = fresh
  }
  const last = path.at(-1) ?? ''
  for (const known of layers.origins.keys()) {
    if (known.startsWith(`${dotted(path)}.`)) layers.origins.delete(known)
  }
  layers.origins.set(dotted(path), { source })
  if (value === undefined) delete target[last]
  else define(target, last, value)
}

/** Who set `path`, or the nearest part above it that anybody set, with the line; otherwise all the sources. */
export function originOf(layers: Layers, path: Path, otherwise: string): string {
  for (let length = path.length; length > 0; length--) {
    const origin = layers.origins.get(dotted(path.slice(0, length)))
    if (origin === undefined) continue
    const line = origin.at?.lineOf([...origin.at.path, ...path.slice(length)])
    return line === undefined ? origin.source : `${origin.source}, line ${line}`
  }
  return otherwise
}
