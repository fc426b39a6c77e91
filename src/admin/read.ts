import type { TObject, TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { isSlip, nearest } from '../config/nearest.ts'
import { AdminError } from '../http/errors.ts'
import { mediaType } from '../http/params.ts'
import { isStorable } from '../lib/storable.ts'

/** What a parameter of this name would be for: unknown ones of these forms are refused, others are not ours. */
const OURS = /^(filter|page)\[|^(sort|count)$/

/**
 * The query of an operation, as its schema has it: texts become numbers, booleans and lists. A filter that does not
 * exist is refused by name: a script that means to list a few must not get (and change) all.
 *
 * @throws AdminError 400
 */
export function queryReader(schema: TObject): (search: URLSearchParams) => Record<string, unknown> {
  const check = TypeCompiler.Compile(schema)
  const names = Object.keys(schema.properties)
  return (search) => {
    const values: Record<string, unknown> = {}
    for (const name of new Set(search.keys())) {
      // `filter[x][]` is how some clients write lists.
      const plain = name.endsWith('[][]') ? name.slice(0, -2) : name.replace(/^(filter\[[^\]]+\])\[\]$/, '$1')
      const property = schema.properties[plain]
      if (!property) {
        if (OURS.test(name)) throw unknownName('unknown_parameter', name, names, { parameter: name })
        continue
      }
      const texts = search.getAll(name)
      if (property.type !== 'array' && texts.length > 1)
        throw invalidParameter(plain, 'It is given more than once.')
      values[plain] = property.type === 'array' ? texts : coerce(property, texts[0] ?? '')
    }
    for (const [name, value] of Object.entries(values))
      if (!isStorable(value)) throw invalidParameter(name, UNSTORABLE)
    if (check.Check(values)) return values
    const [name = '', reason] = firstError(check, values)
    throw invalidParameter(name, reason)
  }
}

/** A text as what the schema wants; unchanged when it is none, for the check to refuse. */
function coerce(schema: TSchema, text: string): unknown {
  if (schema.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (schema.type === 'integer') return /^\d{1,15}$/.test(text) ? Number(text) : text
  return text
}

const invalidParameter = (name: string, detail: string): AdminError =>
  new AdminError(400, 'invalid_parameter', `The parameter ${name} is not valid.`, {
    detail,
    source: { parameter: name },
  })

/**
 * The JSON body of an operation, from its text (`readText`). Members that do not exist are refused by name.
 *
 * @throws AdminError 400, 413, 415
 */
export function bodyReader(
  schema: TSchema,
  optional: boolean,
): (request: Request, text: string | undefined) => unknown {
  const check = TypeCompiler.Compile(schema)
  return (request, text) => {
    if (text === undefined) throw new AdminError(413, 'body_too_large', 'The body is too large.')
    if (text.trim() === '' && optional) return {}
    const type = mediaType(request)
    if (type !== 'application/json' && !type.endsWith('+json'))
      throw new AdminError(415, 'not_json', 'The body must be JSON, and Content-Type application/json.')
    const value = parse(text)
    if (check.Check(value)) {
      const place = Object.entries(value as object).find((member) => !isStorable(member))?.[0]
      if (place === undefined) return value
      throw invalidBody(place, UNSTORABLE)
    }
    const [name, reason] = firstError(check, value)
    const members = Object.keys((schema as TObject).properties ?? {})
    if (
      name !== undefined &&
      !name.includes('/') &&
      isObject(value) &&
      name in value &&
      !members.includes(name)
    )
      throw unknownName('unknown_member', name, members, { pointer: `/${name}` })
    throw invalidBody(name, reason)
  }
}

const UNSTORABLE = 'It has the character U+0000, or half of a surrogate pair.'

const invalidBody = (name: string | undefined, detail: string): AdminError =>
  new AdminError(400, 'invalid_body', 'The body is not valid.', {
    detail,
    source: { pointer: name === undefined ? '' : `/${name}` },
  })

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AdminError(400, 'invalid_json', 'The body is not JSON.', { cause })
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Where a value does not fit its schema, without the slash before it, and why. */
function firstError(check: TypeCheck<TSchema>, value: unknown): [name: string | undefined, reason: string] {
  const error = check.Errors(value).First()
  const name = error?.path.slice(1)
  return [
    name === '' ? undefined : name,
    String(error?.schema.errorMessage ?? error?.message ?? 'It has another form.'),
  ]
}

function unknownName(
  code: string,
  name: string,
  known: readonly string[],
  source: { pointer: string } | { parameter: string },
): AdminError {
  const shown = name.slice(0, 60)
  const close = nearest(shown, known)
  const detail =
    close !== undefined && isSlip(shown, close) ? `Did you mean ${close}?` : `Known: ${known.join(', ')}`
  return new AdminError(400, code, `There is no ${shown} here.`, { detail, source })
}
