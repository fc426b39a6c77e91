import { Environment } from 'minijinja-js'
import { messageOf } from '../lib/thrown.ts'

/** Templates over what a provider says of a person, in the language of MAS (reference operations 1.17). */
export interface ClaimTemplates {
  /** The text of a template, without blanks around it; undefined when there is none. @throws Error that says why not */
  render(template: string, values: object): string | undefined
  /** What is wrong with the syntax of a template; undefined when nothing is. */
  fault(template: string): string | undefined
  /** Whether an expression holds. @throws Error */
  holds(expression: string, values: object): boolean
}

/** Instructions that one template may take. */
const FUEL = 100_000

/**
 * Creates the engine: its own, since these templates come from an operator and not from us, and what they read from a
 * stranger. Text and lists have Python's methods. An unknown variable is empty; one below it is an error.
 */
export function createClaimTemplates(): ClaimTemplates {
  // What a filter threw: a throw inside a callback would break the WebAssembly instance for good.
  let failure: unknown
  const build = (): Environment => {
    const environment = new Environment()
    environment.enablePyCompat()
    environment.fuel = FUEL
    for (const [name, filter] of Object.entries(FILTERS))
      environment.addFilter(name, (value: unknown, ...rest: unknown[]) => {
        try {
          return filter(value, ...rest)
        } catch (error) {
          failure ??= error
          return ''
        }
      })
    return environment
  }
  let environment: Environment | undefined
  const render = (template: string, values: object): string | undefined => {
    failure = undefined
    try {
      environment ??= build()
      const text = environment.renderStr(template, withoutNulls(values)).trim()
      if (failure !== undefined) throw failure
      return text === '' ? undefined : text
    } catch (error) {
      // After a panic of the engine the old one stays borrowed.
      environment = undefined
      // The first line only: what follows is an excerpt.
      throw new Error(messageOf(error).split('\n')[0])
    }
  }
  return {
    render,
    fault(template) {
      try {
        new Environment().addTemplate('template', template)
        return undefined
      } catch (error) {
        return messageOf(error).split('\n')[0]
      }
    },
    holds: (expression, values) => render(`{% if ${expression} %}yes{% endif %}`, values) === 'yes',
  }
}

/** A claim that is null says as much as one that is absent, and would be the word “none”. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== null && entry !== undefined)
      .map(([key, entry]) => [key, withoutNulls(entry)]),
  )
}

/** Bytes that are no text travel through the engine as one private character each. */
const OPAQUE = 0xf0000

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return String.fromCodePoint(...[...bytes].map((byte) => OPAQUE + byte))
  }
}

function bytesOf(value: unknown): Uint8Array {
  const points = [...String(value)].map((character) => character.codePointAt(0) ?? 0)
  const isOpaque = points.length > 0 && points.every((point) => point >= OPAQUE && point < OPAQUE + 256)
  return isOpaque
    ? Uint8Array.from(points, (point) => point - OPAQUE)
    : new TextEncoder().encode(String(value))
}

const wordsOf = (value: unknown): string[] => String(value).split(/\s+/).filter(Boolean)

/** The first argument of a filter, by place or by name: names come as a map behind the others. */
function argument(rest: readonly unknown[], name: string): unknown {
  const [first] = rest
  return first instanceof Map ? first.get(name) : first
}

/** Filters that the engine does not bring. */
const FILTERS: Record<string, (value: unknown, ...rest: unknown[]) => unknown> = {
  // Of any alphabet, padded or not: JWTs and directories differ.
  b64decode: (value) =>
    textOf(Uint8Array.fromBase64(String(value).replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, ''))),
  b64encode: (value) => bytesOf(value).toBase64(),
  string: (value) => (typeof value === 'string' ? new TextDecoder().decode(bytesOf(value)) : String(value)),
  from_json: (value) => JSON.parse(String(value)) as unknown,
  urlencode: (value) => encodeURIComponent(String(value)),
  wordcount: (value) => wordsOf(value).length,
  wordwrap(value, ...rest) {
    const width = Number(argument(rest, 'width') ?? 79)
    const lines: string[] = []
    for (const word of wordsOf(value)) {
      const line = lines.at(-1)
      if (line !== undefined && line.length + 1 + word.length <= width)
        lines[lines.length - 1] = `${line} ${word}`
      else lines.push(word)
    }
    return lines.join('\n')
  },
  // A list by tag, since the engine takes no numbers as keys from here.
  tlvdecode(value) {
    const bytes = bytesOf(value)
    const fields: string[] = []
    for (let at = 0; at < bytes.length; ) {
      const [tag = 0, length] = bytes.subarray(at, at + 2)
      if (length === undefined || at + 2 + length > bytes.length) throw new Error('tlvdecode: too short')
      while (fields.length < tag) fields.push('')
      fields[tag] = textOf(bytes.subarray(at + 2, at + 2 + length))
      at += 2 + length
    }
    return fields
  },
}
