/** A value inside a filter, which then matches itself and nothing else (RFC 4515 section 3). */
export const escapeFilterValue = (value: string): string =>
  value.replace(/[\0()*\\]/g, (sign) => `\\${sign.charCodeAt(0).toString(16).padStart(2, '0')}`)

/** Bytes inside a filter. */
export const escapeFilterBytes = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('')

/** A value inside a distinguished name, which stays one value whatever is in it (RFC 4514 section 2.4). */
export const escapeDnValue = (value: string): string =>
  value
    .replace(/[\\,+"<>;=]/g, '\\$&')
    .replaceAll('\0', '\\00')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')

const PLACEHOLDER = /\{\{\s*([^{}]*?)\s*\}\}/g

/**
 * A template of the configuration with its placeholders filled, each value written by `written`; undefined when one of them
 * has none.
 */
export function fill(
  template: string,
  value: (name: string) => string | undefined,
  written: (value: string) => string,
): string | undefined {
  let isWhole = true
  const text = template.replaceAll(PLACEHOLDER, (_, name: string) => {
    const found = value(name)
    if (found === undefined) isWhole = false
    return written(found ?? '')
  })
  return isWhole ? text : undefined
}
