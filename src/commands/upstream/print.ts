import { printable } from '../token/authorization-server.ts'
import type { Rendered, TrialResult } from './trial.ts'

/** The same with every one of `texts` replaced wherever it stands. */
export function withoutTexts<T>(value: T, texts: readonly string[]): T {
  const known = texts.filter((text) => text.length >= 4).sort((a, b) => b.length - a.length)
  const clean = (entry: unknown): unknown => {
    if (typeof entry === 'string')
      return known.reduce((rest, text) => rest.replaceAll(text, '[secret]'), entry)
    if (Array.isArray(entry)) return entry.map(clean)
    if (typeof entry !== 'object' || entry === null) return entry
    return Object.fromEntries(Object.entries(entry).map(([key, inner]) => [key, clean(inner)]))
  }
  return clean(value) as T
}

/** What a trial came to, for a terminal. A provider is quoted: nothing that it says is obeyed. */
export function printTrial(
  name: string,
  { claims, imports, allow_if, admin_if, outcome }: Omit<TrialResult, 'secrets'>,
): string {
  const parts: [heading: string, value: object | undefined][] = [
    [`${name} says in the ID token (id_token_claims)`, claims.id_token_claims],
    [`${name} says as userinfo (userinfo_claims)`, claims.userinfo_claims],
    [
      `${name} adds to its answer (extra_callback_parameters)`,
      Object.keys(claims.extra_callback_parameters).length > 0 ? claims.extra_callback_parameters : undefined,
    ],
  ]
  const lines = parts.flatMap(([heading, value]) =>
    value === undefined
      ? []
      : [`${printable(heading)}:`, ...JSON.stringify(value, null, 2).split('\n').map(printable), ''],
  )
  for (const [attribute, row] of Object.entries(imports)) if (row) lines.push(...printRow(attribute, row))
  for (const [key, value] of Object.entries({ allow_if, admin_if }))
    if (value !== null) lines.push(`${key.padEnd(13)} ${value ? 'holds' : 'does not hold'}`)
  return [...lines, '', printable(outcome)].join('\n')
}

function printRow(attribute: string, { action, template, value, error }: Rendered): string[] {
  const result = error === undefined ? (value ?? '(nothing)') : `fails: ${error}`
  return [
    `${attribute.padEnd(13)} ${printable(result)}`,
    `${' '.repeat(13)} from ${printable(template)}${action === undefined ? '' : `, action ${action}`}`,
  ]
}
