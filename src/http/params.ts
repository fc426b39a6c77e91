import type { Static, TObject } from '@sinclair/typebox'
import type { TypeCheck } from '@sinclair/typebox/compiler'
import { OAuthError, PageError } from './errors.ts'

/** Bytes that a form or JSON body may have. */
export const BODY_LIMIT = 256 * 1024

/** The media type of a form. */
export const FORM = 'application/x-www-form-urlencoded'

/** The media type of a request's body in lower case, without its parameters; '' when it names none. */
export const mediaType = (request: Request): string =>
  (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''

/** Parameters by name; a null prototype, so that `__proto__` is a name like any other. */
export type Params = Record<string, string>

/**
 * The form of an OAuth request: `application/x-www-form-urlencoded` (any case, with or without parameters), each name
 * once (RFC 6749 section 3.2) but for `resource`, whose values are joined by spaces (RFC 8707 section 2), no NUL, empty
 * values as if absent (section 3.1).
 *
 * @throws OAuthError invalid_request
 */
export async function readForm(request: Request): Promise<Params> {
  if (mediaType(request) !== FORM)
    throw new OAuthError('invalid_request', {
      description: 'The body must be application/x-www-form-urlencoded.',
    })
  const text = await readText(request)
  if (text === undefined)
    throw new OAuthError('invalid_request', { description: 'The body is too large.', status: 413 })
  return parsePairs(pairsOf(text))
}

/** Text in which every character means itself: nothing is encoded, and there is no `?` for URLSearchParams to strip. */
const PLAIN = /^[\x20-\x24\x26-\x2a\x2c-\x3e\x40-\x7e]*$/

/** All pairs of a form. Plain text is split here, in a tenth of the time: tokens and ids are plain. */
function pairsOf(text: string): Iterable<[string, string]> {
  if (!PLAIN.test(text)) return new URLSearchParams(text)
  const pairs: [string, string][] = []
  for (const part of text.split('&')) {
    if (part === '') continue
    const at = part.indexOf('=')
    pairs.push(at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)])
  }
  return pairs
}

/** The parameters that an endpoint takes, checked. @throws OAuthError invalid_request, naming the parameter */
export function checkParams<T extends TObject>(schema: TypeCheck<T>, values: Params): Static<T> {
  if (schema.Check(values)) return values
  const first = schema.Errors(values).First()
  const name = first?.path.slice(1) ?? ''
  throw new OAuthError('invalid_request', {
    description:
      values[name] === undefined
        ? `The parameter ${name} is missing.`
        : `The parameter ${name} is not valid.`,
  })
}

/** The query of an OAuth request, under the rules of `readForm`. @throws OAuthError invalid_request */
export const readQuery = (request: Request): Params => parsePairs(new URL(request.url).searchParams)

function parsePairs(pairs: Iterable<[string, string]>): Params {
  const values: Params = Object.create(null)
  const seen = new Set<string>()
  for (const [name, value] of pairs) {
    if (seen.has(name) && name !== 'resource')
      throw new OAuthError('invalid_request', {
        description: `The parameter ${name.slice(0, 60)} is repeated.`,
      })
    seen.add(name)
    if (name.includes('\0') || value.includes('\0'))
      throw new OAuthError('invalid_request', { description: 'A parameter has a NUL character.' })
    if (value !== '') values[name] = values[name] === undefined ? value : `${values[name]} ${value}`
  }
  return values
}

/**
 * The form of a page. People do not build these by hand, so this is lenient: the first of repeated fields counts, a
 * NUL becomes U+FFFD (nothing matches it, and the database cannot store a NUL), empty values stay.
 *
 * @throws PageError when the body is no form, or too large
 */
export async function readPageForm(request: Request): Promise<Params> {
  if (mediaType(request) !== FORM) throw new PageError('bad_request', 400)
  const text = await readText(request)
  if (text === undefined) throw new PageError('bad_request', 413)
  return lenient(new URLSearchParams(text))
}

/**
 * A form of a page with a file (`multipart/form-data`): the texts as `readPageForm` gives them, and the first file that
 * was chosen, whatever the browser says of its name and type.
 *
 * @throws PageError when the body is no such form, or has more than `limit` bytes
 */
export async function readFileForm(
  request: Request,
  limit: number,
): Promise<{ form: Params; file: Uint8Array<ArrayBuffer> | undefined }> {
  if (mediaType(request) !== 'multipart/form-data') throw new PageError('bad_request', 400)
  const body = await readBytes(request, limit)
  if (!body) throw new PageError('bad_request', 413)
  const headers = { 'content-type': request.headers.get('content-type') ?? '' }
  const data = await new Response(body, { headers }).formData().catch((cause: unknown) => {
    throw new PageError('bad_request', 400, { cause })
  })
  const form: Params = Object.create(null)
  let file: File | undefined
  for (const [name, value] of data) {
    if (typeof value === 'string') form[name] ??= value.replaceAll('\0', '\ufffd')
    else if (value.size > 0) file ??= value
  }
  return { form, file: file && new Uint8Array(await file.arrayBuffer()) }
}

/** The query of a page, as lenient as `readPageForm`. */
export const readPageQuery = (request: Request): Params => lenient(new URL(request.url).searchParams)

function lenient(pairs: URLSearchParams): Params {
  const values: Params = Object.create(null)
  for (const [name, value] of pairs) values[name] ??= value.replaceAll('\0', '\ufffd')
  return values
}

/**
 * A JSON body of at most BODY_LIMIT bytes; undefined when it is not JSON.
 *
 * @throws OAuthError when the body is too large
 */
export async function readJson(request: Request): Promise<unknown> {
  const text = await readText(request)
  if (text === undefined)
    throw new OAuthError('invalid_request', { description: 'The body is too large.', status: 413 })
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** The body as text; undefined when it is larger than BODY_LIMIT. */
export async function readText(request: Request): Promise<string | undefined> {
  const length = request.headers.get('content-length')
  // A body of a known length in one go; of one that is sent in chunks no more is taken in than is needed.
  if (length === null) {
    const bytes = await readBytes(request, BODY_LIMIT)
    return bytes && new TextDecoder().decode(bytes)
  }
  if (Number(length) > BODY_LIMIT) return undefined
  const text = await request.text()
  return text.length > BODY_LIMIT ? undefined : text
}

/** The body; undefined when it has more than `limit` bytes. */
async function readBytes(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (Number(request.headers.get('content-length') ?? 0) > limit) return undefined
  const parts: Uint8Array<ArrayBuffer>[] = []
  let length = 0
  for await (const part of request.body ?? []) {
    length += part.length
    if (length > limit) return undefined
    parts.push(part)
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer())
}
