import { ConfigSchema } from './schema.ts'

/** The annotations that only our own code reads. */
const OWN = new Set(['url', 'hint', 'whole'])

/**
 * The schema of the configuration file as plain JSON Schema (2020-12), for editors: keys with a default are not
 * required, `x-` keys are allowed everywhere.
 */
export function configJsonSchema(): Record<string, unknown> {
  // Through JSON: TypeBox keeps its own notes under symbols.
  const root: unknown = publish(JSON.parse(JSON.stringify(ConfigSchema)))
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Latchkey configuration',
    ...(root as Record<string, unknown>),
  }
}

function publish(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(publish)
  if (typeof node !== 'object' || node === null) return node
  const entries = Object.entries(node)
  const properties: unknown = Reflect.get(node, 'properties')
  // A key named `url` under `properties` is a key of the configuration, not one of our annotations.
  if (Reflect.get(node, 'type') === undefined && Reflect.get(node, 'anyOf') === undefined) {
    return Object.fromEntries(entries.map(([key, value]) => [key, publish(value)]))
  }
  const shown = entries
    .filter(([key]) => !OWN.has(key))
    .map(([key, value]) => {
      if (key === 'default') return [key, value]
      if (key === 'required')
        return [key, (value as string[]).filter((name) => !hasDefault(properties, name))]
      return [key, publish(value)]
    })
  return {
    ...Object.fromEntries(shown),
    ...(Reflect.get(node, 'url') === undefined ? {} : { format: 'uri' }),
    ...(properties === undefined ? {} : { patternProperties: { '^x-': true } }),
  }
}

const hasDefault = (properties: unknown, name: string): boolean => {
  const property: unknown =
    typeof properties === 'object' && properties !== null && Reflect.get(properties, name)
  return typeof property === 'object' && property !== null && 'default' in property
}
