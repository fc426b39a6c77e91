import { Glob } from 'bun'
import fc from 'fast-check'

/** What markup, template expressions and header lines look like when they get through. */
export const MARKUP = /<script>alert|<img src=x|(?:href|action|src|content)="?\s*javascript:|8641969/i
const MARKS = [
  '"><script>alert(1)</script>',
  "'><img src=x onerror=alert(1)>",
  'javascript:alert(1)',
  '{{1234567*7}}',
  '<%= 1234567*7 %>',
  '{% raw %}',
  '\r\nset-cookie: injected=1',
]

/** Text as it is sent, already percent-encoded or deliberately not. */
export type Encoded = string & { readonly encoded?: never }

/** Anything that somebody might send as one value. */
const nonsense: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 20 }),
  fc.json({ maxDepth: 2 }),
  fc.webUrl(),
  fc.integer().map(String),
  fc.constantFrom(...MARKS, '', ' ', '\0', '%', '*', '[]', '{}', 'null', 'true', '__proto__', 'constructor'),
  fc.constantFrom('x'.repeat(300), 'x'.repeat(5000), 'é'.repeat(3000), '9'.repeat(400), '-1', '1e400'),
)

/** Spellings that no encoder makes: lone surrogates, bytes that are no UTF-8, broken escapes. */
const broken = fc.constantFrom(
  '%ED%A0%80',
  '%ED%B0%80',
  '%FF%FE',
  '%C0%AF',
  '%',
  '%zz',
  '%u0041',
  '%00',
  '+',
  '&',
  ';',
  '=',
)

/** One value, encoded for a query or a form: what is good somewhere, nonsense, or broken. */
export const encodedValue = (good: readonly string[]): fc.Arbitrary<Encoded> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...good).map(encode) },
    { weight: 4, arbitrary: nonsense.map(encode) },
    { weight: 1, arbitrary: broken },
  )

const encode = (text: string): Encoded => encodeURIComponent(text.toWellFormed())

/** A query or form: some of `names`, now and then one twice, or one that is nonsense itself. */
export const encodedPairs = (names: readonly string[], good: readonly string[]): fc.Arbitrary<Encoded> => {
  const name = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...names).map(encode) },
    { weight: 1, arbitrary: fc.oneof(nonsense.map(encode), broken) },
  )
  const pair = fc.tuple(name, encodedValue(good)).map(([key, value]) => `${key}=${value}`)
  const pairs = fc.array(pair, { maxLength: 6 })
  return fc.oneof(
    { weight: 6, arbitrary: pairs.map((list) => list.join('&')) },
    { weight: 1, arbitrary: fc.tuple(pairs, pair).map(([list, twice]) => [...list, twice, twice].join('&')) },
  )
}

const jsonBody = (names: readonly string[], good: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    fc
      .dictionary(
        fc.constantFrom(...names, '__proto__', 'client_name#de', 'client_name#"><script>alert(1)</script>'),
        fc.oneof(
          fc.constantFrom(...good),
          nonsense.map((text) => text.toWellFormed()),
          fc.array(fc.oneof(fc.constantFrom(...good), fc.jsonValue({ maxDepth: 1 })), { maxLength: 3 }),
          fc.jsonValue({ maxDepth: 2 }),
        ),
        { maxKeys: 6 },
      )
      .map((value) => JSON.stringify(value)),
    fc.json({ maxDepth: 3 }),
    fc.constantFrom(
      '',
      '{',
      '[',
      '"',
      'null',
      '1e999',
      '{"a":"\\ud800"}',
      '{"\\u0000":"\\u0000"}',
      `${'['.repeat(4000)}`,
    ),
  )

/** A header value that HTTP can carry. */
const headerText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 60 }).map((text) => text.replace(/[^\x20-\x7e]/g, '')),
  fc
    .array(fc.integer({ min: 0xa0, max: 0xff }), { maxLength: 20 })
    .map((codes) => String.fromCharCode(...codes)),
  fc.constantFrom(...MARKS.map((mark) => mark.replace(/[\r\n]/g, ' ')), 'x'.repeat(9000), '', '*', ',,,;;;'),
)

/** Headers of a request; `credentials` are values of Authorization that are right somewhere. */
const headers = (credentials: readonly string[], cookies: readonly string[]) =>
  fc.record(
    {
      authorization: fc.oneof(
        fc.constantFrom(...credentials),
        fc.constantFrom(
          'Basic',
          'Basic %%%',
          'Basic Og==',
          'Bearer',
          'Bearer  ',
          'Bearer a b',
          'DPoP x',
          'Digest x',
        ),
        headerText.map((text) => `Bearer ${text}`),
        headerText.map((text) => `Basic ${btoa(text)}`),
        headerText,
      ),
      cookie: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...cookies) },
        { weight: 1, arbitrary: headerText },
        {
          weight: 1,
          arbitrary: fc.tuple(fc.constantFrom(...cookies), headerText).map(([good, text]) => {
            const names = good.split('; ').map((pair) => pair.split('=')[0])
            return names.map((name) => `${name}=${text}`).join('; ')
          }),
        },
      ),
      'accept-language': headerText,
      'user-agent': headerText,
      accept: fc.constantFrom('application/json', 'text/html', '*/*;q=x'),
      origin: fc.constantFrom('null', 'https://evil.test', 'http://auth.test'),
      referer: headerText,
      'sec-fetch-site': fc.constantFrom('same-origin', 'cross-site', 'none', 'same-site', 'x'),
      'sec-fetch-dest': fc.constantFrom('document', 'iframe', 'x'),
      'x-forwarded-for': headerText,
      'x-forwarded-proto': headerText,
      'if-none-match': headerText,
      range: fc.constantFrom('bytes=0-1', 'bytes=-', 'x'),
      'x-mas-supports-device-id': headerText,
      dpop: headerText,
    },
    { requiredKeys: [] },
  )

/** What a request carries, for `new Request`. */
export interface FuzzedRequest {
  method: string
  /** The values of the `{…}` segments, encoded. */
  segment: Encoded
  query: Encoded
  headers: Record<string, string>
  body: string | undefined
}

/** A request that the route would answer well. The rest of it is changed here and there. */
export interface GoodRequest {
  segment?: string
  fields: Record<string, unknown>
  /** Members of a JSON body instead of fields of a form or query. */
  json?: boolean
  headers?: Record<string, string>
}

const FORM = 'application/x-www-form-urlencoded'
const TYPES = [
  'application/json',
  'text/plain',
  'application/xml',
  'multipart/form-data; boundary=x',
  'multipart/form-data',
  `${FORM}; charset=utf-16`,
  'Application/X-WWW-Form-URLencoded',
  ';;;',
  `x/${'y'.repeat(3000)}`,
]

/** What is known of a route: its own names first, values that are good somewhere, requests that are good here. */
export interface Knowledge {
  names: { own: readonly string[]; all: readonly string[] }
  values: readonly string[]
  credentials: readonly string[]
  cookies: readonly string[]
  good: readonly GoodRequest[]
}

/** Requests for a route: out of nothing, or a good one with one to three things changed. */
export function fuzzedRequests(method: string, known: Knowledge): fc.Arbitrary<FuzzedRequest> {
  const { names, values, credentials, cookies, good } = known
  const likely = names.own.length > 0 ? [...names.own, ...names.own, ...names.all.slice(0, 5)] : names.all
  const pairs = fc.oneof(
    { weight: 4, arbitrary: encodedPairs(likely, values) },
    { weight: 1, arbitrary: encodedPairs(names.all, values) },
  )
  const body = fc.oneof(
    { weight: 5, arbitrary: pairs.map((text) => ({ type: FORM, text })) },
    { weight: 2, arbitrary: jsonBody(likely, values).map((text) => ({ type: 'application/json', text })) },
    { weight: 1, arbitrary: fc.record({ type: fc.constantFrom(...TYPES), text: pairs }) },
    { weight: 1, arbitrary: fc.constant({ type: FORM, text: `a=${'x'.repeat(300_000)}` }) },
    { weight: 1, arbitrary: fc.constant({ type: '', text: 'a=b' }) },
  )
  const anything = fc
    .record({
      method: fc.oneof(
        { weight: 12, arbitrary: fc.constant(method) },
        {
          weight: 1,
          arbitrary: fc.constantFrom('HEAD', 'PUT', 'PATCH', 'DELETE', 'POST', 'GET', 'OPTIONS', 'BREW'),
        },
      ),
      segment: encodedValue(values),
      query: fc.oneof(
        { weight: method === 'GET' ? 9 : 1, arbitrary: pairs },
        { weight: 3, arbitrary: fc.constant('') },
      ),
      headers: headers(credentials, cookies),
      body,
    })
    .map(({ body: { type, text }, ...request }) => {
      if (request.method === 'GET' || request.method === 'HEAD') return { ...request, body: undefined }
      const more = type === '' ? {} : { 'content-type': type }
      return { ...request, body: text, headers: { ...request.headers, ...more } }
    })
  if (good.length === 0) return anything
  const nearly = fc
    .record({
      base: fc.constantFrom(...good),
      changes: fc.uniqueArray(
        fc.record({
          at: fc.nat({ max: 19 }),
          name: fc.constantFrom(...likely),
          value: fc.oneof(
            { weight: 5, arbitrary: encodedValue(values) },
            { weight: 1, arbitrary: fc.constant(undefined) },
          ),
        }),
        { maxLength: 3, selector: ({ at }) => at },
      ),
      extra: fc.oneof(
        { weight: 2, arbitrary: fc.constant({}) },
        { weight: 1, arbitrary: headers(credentials, cookies) },
      ),
      segment: fc.oneof(
        { weight: 5, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: encodedValue(values) },
      ),
    })
    .map(({ base, changes, extra, segment }) => changed(method, base, changes, extra, segment))
  return fc.oneof({ weight: 2, arbitrary: nearly }, { weight: 1, arbitrary: anything })
}

/** A good request with one parameter changed: to what is good elsewhere, nonsense, a broken spelling; or given twice. */
export function withChanged(
  method: string,
  name: string,
  { values, good }: Pick<Knowledge, 'values' | 'good'>,
): fc.Arbitrary<FuzzedRequest> {
  const bases = good.length > 0 ? good : [{ fields: {} }]
  const twice = fc.oneof(
    { weight: 5, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  )
  return fc.record({ base: fc.constantFrom(...bases), value: encodedValue(values), twice }).map((given) => {
    const { base, value } = given
    const request = changed(method, base, [{ at: Number.POSITIVE_INFINITY, name, value }], {}, undefined)
    if (!given.twice || base.json) return request
    const again = `&${encode(name)}=${value}`
    return request.body === undefined
      ? { ...request, query: request.query + again }
      : { ...request, body: request.body + again }
  })
}

/** Values that something somewhere trips over. */
const HAZARDS: readonly Encoded[] = [
  ...[
    ...MARKS,
    '',
    ' ',
    '\0',
    '{',
    '[]',
    '{"a":[1]}',
    'null',
    '-1',
    '1e400',
    '__proto__',
    'x'.repeat(5000),
  ].map(encode),
  ...['%ED%A0%80', '%FF%FE', '%zz', '%'],
]

/** The first good request with one parameter changed to each of the hazards, whatever a search would try. */
export const withHazards = (
  method: string,
  name: string,
  { good: [base = { fields: {} }] }: Pick<Knowledge, 'good'>,
): FuzzedRequest[] =>
  HAZARDS.map((value) =>
    changed(method, base, [{ at: Number.POSITIVE_INFINITY, name, value }], {}, undefined),
  )

function changed(
  method: string,
  base: GoodRequest,
  changes: { at: number; name: string; value: Encoded | undefined }[],
  extra: Record<string, string | undefined>,
  segment: Encoded | undefined,
): FuzzedRequest {
  const fields = new Map<string, Encoded | undefined>()
  for (const [name, value] of Object.entries(base.fields))
    fields.set(name, typeof value === 'string' ? encode(value) : JSON.stringify(value))
  const own = [...fields.keys()]
  // Most changes are to what is there; the others add a parameter.
  for (const { at, name, value } of changes) fields.set(own[at] ?? name, value)
  const present = [...fields].filter((entry): entry is [string, string] => entry[1] !== undefined)
  const text = base.json
    ? JSON.stringify(Object.fromEntries(present.map(([name, value]) => [name, member(base, name, value)])))
    : present.map(([name, value]) => `${encode(name)}=${value}`).join('&')
  const carried = Object.fromEntries(
    Object.entries({ ...base.headers, ...extra }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  )
  const address = { method, segment: segment ?? encode(base.segment ?? 'x') }
  if (method === 'GET') return { ...address, query: text, headers: carried, body: undefined }
  const type = base.json ? 'application/json' : FORM
  return { ...address, query: '', headers: { ...carried, 'content-type': type }, body: text }
}

/** The value of a member: as it was where nothing changed it, otherwise the JSON or else the text that it stands for. */
function member(base: GoodRequest, name: string, value: Encoded): unknown {
  const before = base.fields[name]
  if (typeof before === 'string' ? encode(before) === value : JSON.stringify(before) === value) return before
  for (const read of [(text: string): unknown => JSON.parse(decodeURIComponent(text)), decodeURIComponent])
    try {
      return read(value)
    } catch {}
  return value
}

/**
 * The names of parameters and members, read off the source, so that what is added there is tried without being listed
 * here: for each path the names in the files that declare it, and all names together.
 */
export async function parameterNames(): Promise<{ all: string[]; of(path: string): string[] }> {
  const root = new URL('../../src/', import.meta.url)
  const byPath = new Map<string, Set<string>>()
  const all = new Set<string>()
  for await (const file of new Glob('**/*.ts').scan(root.pathname)) {
    const text = await Bun.file(new URL(file, root)).text()
    const names = new Set([
      ...found(text, /\b(?:form|params|asked|query|body|metadata|registered)\??\.([a-z][a-z_]+)\b(?!')/g),
      ...found(text, /\b([a-z][a-z_]+): (?:Type\.|text,|texts,|uri,)/g),
      ...found(text, /\bconst \{ ([^}]+) \} = (?:form|params|query|(?:read|check)\w+\()/g).flatMap((list) =>
        list.split(',').map((part) => part.split(/[:=]/)[0]?.trim() ?? ''),
      ),
    ])
    const paths = found(text, /path: '([^']+)'/g)
    for (const path of paths) byPath.set(path, new Set([...(byPath.get(path) ?? []), ...names]))
    if (/^(?:http|oauth|sign-in|account|matrix|admin|upstream|identity)\//.test(file))
      for (const name of names) all.add(name)
  }
  return { all: [...all], of: (path) => [...(byPath.get(path) ?? [])] }
}

const found = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((match) => match[1] ?? '')
