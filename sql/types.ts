import type postgres from 'postgres'

/**
 * Array types for the driver, which would otherwise ask the server for them on each new connection. Keyed by the
 * array's oid in pg_type.dat; these oids never change. Arrays of other types (enums, domains) must be cast to text[].
 */
type Parse = (text: string) => unknown

const text: Parse = (value) => value
const number: Parse = (value) => Number(value)
const boolean: Parse = (value) => value === 't'
const date: Parse = (value) => new Date(value)
const json: Parse = (value) => JSON.parse(value)
const bytes: Parse = (value) => Buffer.from(value.slice(2), 'hex')

const ELEMENTS: Record<number, Parse> = {
  1000: boolean,
  1001: bytes,
  1002: text, // "char"
  1003: text, // name
  1005: number, // int2
  1007: number, // int4
  1009: text,
  1014: text, // bpchar
  1015: text, // varchar
  1016: text, // int8
  1021: number, // float4
  1022: number, // float8
  1028: number, // oid
  1041: text, // inet
  1115: date, // timestamp
  1182: date, // date
  1185: date, // timestamptz
  1231: text, // numeric
  199: json,
  2951: text, // uuid
  3807: json, // jsonb
}

/** PostgreSQL's array literal, read into (nested) lists; an unquoted NULL is null. */
export function parseArray(literal: string, parse: Parse): unknown[] {
  let at = 0
  const list = (): unknown[] => {
    const items: unknown[] = []
    at++
    while (at < literal.length && literal[at] !== '}') {
      if (literal[at] === ',') at++
      else if (literal[at] === '{') items.push(list())
      else if (literal[at] === '"') items.push(parse(quoted()))
      else {
        const start = at
        while (literal[at] !== ',' && literal[at] !== '}') at++
        const item = literal.slice(start, at)
        items.push(item === 'NULL' ? null : parse(item))
      }
    }
    at++
    return items
  }
  const quoted = (): string => {
    let value = ''
    for (at++; literal[at] !== '"'; at++) {
      if (literal[at] === '\\') at++
      value += literal[at]
    }
    at++
    return value
  }
  return list()
}

/** A list as PostgreSQL's array literal. */
export function formatArray(items: unknown): string {
  if (!Array.isArray(items)) return String(items)
  return `{${items.map(formatItem).join(',')}}`
}

function formatItem(item: unknown): string {
  if (Array.isArray(item)) return formatArray(item)
  if (item === undefined) throw new Error('An array for the database holds undefined.')
  if (item === null) return 'NULL'
  return `"${asText(item).replace(/[\\"]/g, '\\$&')}"`
}

function asText(item: unknown): string {
  if (item instanceof Date) return item.toISOString()
  if (item instanceof Uint8Array) return `\\x${item.toHex()}`
  return typeof item === 'object' ? JSON.stringify(item) : String(item)
}

export const arrayTypes: Record<string, postgres.PostgresType> = Object.fromEntries(
  Object.entries(ELEMENTS).map(([oid, parse]) => [
    `array${oid}`,
    {
      to: Number(oid),
      from: [Number(oid)],
      serialize: formatArray,
      parse: (literal: string) => parseArray(literal, parse),
    },
  ]),
)
