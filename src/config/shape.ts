import type { TSchema } from '@sinclair/typebox'

/** What a node of the schema is, in the few kinds that schema/parts.ts makes. */
export type Shape =
  | { kind: 'fields'; properties: Record<string, TSchema>; open: boolean }
  | { kind: 'list'; items: TSchema }
  | { kind: 'free' }
  | { kind: 'choice'; values: string[] }
  | { kind: 'boolean' | 'number' | 'text' }
  | { kind: 'maybe-number' }

/** Looks at a node of the schema. Throws for a kind that parts.ts does not make: a mistake in the schema. */
export function shapeOf(schema: TSchema): Shape {
  if (schema.type === 'object' && schema.properties !== undefined) {
    return { kind: 'fields', properties: schema.properties, open: schema.additionalProperties !== false }
  }
  if (schema.type === 'object') return { kind: 'free' }
  if (schema.type === 'array') return { kind: 'list', items: schema.items }
  if (schema.type === 'boolean') return { kind: 'boolean' }
  if (schema.type === 'integer' || schema.type === 'number') return { kind: 'number' }
  if (schema.type === 'string') {
    return schema.const === undefined ? { kind: 'text' } : { kind: 'choice', values: [schema.const] }
  }
  const members: TSchema[] = schema.anyOf ?? []
  if (members.some((member) => member.type === 'null')) return { kind: 'maybe-number' }
  if (members.length > 0) return { kind: 'choice', values: members.map((member) => String(member.const)) }
  throw new Error('schema/parts.ts made a kind that shape.ts does not know')
}

/** Every path of the schema through mappings (not into lists), with its node: what a variable can set. */
export function* namedPaths(schema: TSchema, path: string[] = []): Generator<[string[], TSchema]> {
  const shape = shapeOf(schema)
  if (path.length > 0) yield [path, schema]
  if (shape.kind !== 'fields') return
  for (const [key, child] of Object.entries(shape.properties)) yield* namedPaths(child, [...path, key])
}

/** Every path of the schema, into the items of lists too (`http.listeners[].name`), with its node. */
export function* allPaths(schema: TSchema, path = ''): Generator<[string, TSchema]> {
  const shape = shapeOf(schema)
  if (path !== '') yield [path, schema]
  if (shape.kind === 'list') {
    const items = shapeOf(shape.items)
    if (items.kind !== 'fields') return
    for (const [key, child] of Object.entries(items.properties)) yield* allPaths(child, `${path}[].${key}`)
  }
  if (shape.kind !== 'fields') return
  for (const [key, child] of Object.entries(shape.properties)) {
    yield* allPaths(child, path === '' ? key : `${path}.${key}`)
  }
}
