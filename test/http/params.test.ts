import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { OAuthError } from '../../src/http/errors.ts'
import { FORM, readForm } from '../../src/http/params.ts'

const read = async (body: string): Promise<Record<string, string> | string> => {
  try {
    return {
      ...(await readForm(
        new Request('http://auth.test/', { method: 'POST', body, headers: { 'content-type': FORM } }),
      )),
    }
  } catch (error) {
    if (error instanceof OAuthError) return error.code
    throw error
  }
}

/** What the rules say, from what URLSearchParams finds. */
function expected(body: string): Record<string, string> | string {
  const values: Record<string, string> = Object.create(null)
  const seen = new Set<string>()
  for (const [name, value] of new URLSearchParams(body)) {
    if (seen.has(name) || name.includes('\0') || value.includes('\0')) return 'invalid_request'
    seen.add(name)
    if (value !== '') values[name] = value
  }
  return { ...values }
}

test('a form is read as URLSearchParams reads it, plain or encoded (WHATWG URL, application/x-www-form-urlencoded)', async () => {
  const piece = fc.constantFrom(
    'a',
    'b',
    '=',
    '&',
    '+',
    '%',
    '%20',
    '%00',
    '%zz',
    '?',
    '#',
    ' ',
    ';',
    'é',
    '\u{1f4a5}',
    '_',
    '.',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const body = pieces.join('')
      expect(await read(body)).toEqual(expected(body))
    }),
    { numRuns: 500 },
  )
})
