import type { TObject, TSchema } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import packageFile from '../../package.json' with { type: 'json' }
import type { Deps } from '../deps.ts'
import { ADMIN_SCOPES, adminPartOf, scopesFor } from '../lib/admin-scope.ts'
import { isCreation, type Operation, type Refusal } from './operation.ts'
import { BASE } from './resource.ts'
import { Errors, NoQuery } from './schemas.ts'

const AREAS: Record<Operation['area'], string> = {
  users: 'Accounts, their addresses and what they accepted.',
  sessions: 'Where people are signed in, and what acts for them.',
  clients: 'The apps that people sign in to.',
  server: 'This server: what it allows, and its rules.',
}

/** The code of an error that every operation may answer. */
const CODES: Record<number, string> = {
  400: 'invalid_parameter',
  401: 'token_missing',
  403: 'scope_missing',
  413: 'body_too_large',
  415: 'not_json',
  429: 'rate_limited',
  500: 'internal',
  503: 'unavailable',
}

/** What an operation with a body may answer besides. */
const WITH_BODY: Record<number, string> = {
  413: 'The body is too large.',
  415: 'The body is not JSON, or `Content-Type` does not say so.',
}

/** Headers of answers: whom to authenticate as, and when to come again. */
const HEADERS: Record<number, Record<string, object>> = {
  401: {
    'WWW-Authenticate': {
      description: 'How to authenticate: `Bearer`, or `DPoP` for a token that is bound to a key (RFC 9449).',
      schema: { type: 'string' },
    },
  },
  403: {
    'WWW-Authenticate': {
      description: 'With `scope_missing`: a scope that is enough (RFC 6750 section 3.1).',
      schema: { type: 'string' },
    },
  },
  429: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } },
  503: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } },
}

/** What every operation may answer besides its own refusals. */
const COMMON: Record<number, string> = {
  400: 'The request is not valid.',
  401: 'The access token is missing, unknown, expired or revoked.',
  403: 'The access token does not allow this.',
  429: 'Too many requests; `Retry-After` says how many seconds to wait.',
  500: 'Something went wrong; `reference` is what the log has it under.',
  503: 'The database or the homeserver is not available; `Retry-After` says how many seconds to wait.',
}

/**
 * The OpenAPI 3.1 document of the admin API, made of the schemas that validate. The plugin collects routes and schemas
 * (decision 29); it is loaded when the first reader comes, since it costs as much as Elysia itself.
 */
export async function openApiDocument(
  deps: Pick<Deps, 'urls'>,
  operations: readonly Operation[],
): Promise<object> {
  const { swagger } = await import('@elysiajs/swagger')
  const { urls } = deps
  const scopes = Object.fromEntries(ADMIN_SCOPES.map((scope) => [scope, scopeSentence(scope)]))
  const collector = new Elysia().use(
    swagger({
      path: '/page',
      specPath: '/document',
      excludeStaticFile: false,
      documentation: {
        // The plugin's types know 3.0 alone; it passes this on as it is.
        ...({ openapi: '3.1.0' } as object),
        info: {
          title: 'Latchkey admin API',
          version: packageFile.version,
          description:
            'Accounts, sessions, clients and rules of this server. Times are RFC 3339, ids are ULIDs. ' +
            'Lists come in pages; follow `links.next` until it is absent.',
          license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
        },
        servers: [{ url: urls.base.replace(/\/$/, '') }],
        tags: Object.entries(AREAS).map(([name, description]) => ({ name, description })),
        components: {
          securitySchemes: {
            oauth2: {
              type: 'oauth2',
              flows: {
                authorizationCode: {
                  authorizationUrl: urls.absolute('/authorize'),
                  tokenUrl: urls.absolute('/oauth2/token'),
                  refreshUrl: urls.absolute('/oauth2/token'),
                  scopes,
                },
                clientCredentials: { tokenUrl: urls.absolute('/oauth2/token'), scopes },
              },
            },
            token: {
              type: 'http',
              scheme: 'bearer',
              description:
                'A personal access token, or any other access token with one of the scopes. A token that was bound to a ' +
                'key is sent as `Authorization: DPoP <token>`, with a proof of the key in the header `DPoP` (RFC 9449).',
            },
          },
        },
      },
    }),
  )
  for (const operation of operations)
    collector.route(operation.method, BASE + operation.path.replace(/\{(\w+)\}/g, ':$1'), () => '', {
      detail: detailOf(operation) as object,
    })
  const response = await collector.handle(new Request('http://openapi.invalid/document'))
  return (await response.json()) as object
}

function scopeSentence(scope: string): string {
  const part = adminPartOf(scope)
  if (part === 'all') return 'Everything'
  return part === 'read' ? 'Read everything, change nothing' : `Read and change: ${part}`
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A text of your own for this creation. Sent again with the same key and body, within a day, it creates nothing and ' +
    'answers what it answered first.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
}

/** How a creation refuses its key. */
const KEY_REFUSALS: readonly Refusal[] = [
  { status: 409, code: 'in_progress', when: 'A request with this Idempotency-Key is under way.' },
  { status: 422, code: 'idempotency_key_reused', when: 'The Idempotency-Key was used for another request.' },
]

function detailOf(operation: Operation): Record<string, unknown> {
  const { path, id, area, summary, description, query, body, success, refusals = [] } = operation
  const scopes = scopesFor(operation)
  const parameters = [
    ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
      ...(name === 'id' && { example: '01HZX1V2E3Q4R5S6T7V8W9XAYB' }),
    })),
    ...queryParameters(query ?? NoQuery),
    ...(isCreation(operation) ? [IDEMPOTENCY_KEY] : []),
  ]
  return {
    operationId: id,
    summary,
    ...(description !== undefined && { description }),
    tags: [area],
    security: [...scopes.map((scope) => ({ oauth2: [scope] })), { token: [] }],
    parameters,
    ...(body && {
      requestBody: {
        required: !operation.bodyOptional,
        content: { 'application/json': { schema: plain(body), example: exampleOf(body) } },
      },
    }),
    responses: {
      ...responsesOf({ ...COMMON, ...(body && WITH_BODY) }, [
        ...refusals,
        ...(isCreation(operation) ? KEY_REFUSALS : []),
      ]),
      [success.status]: successOf(success),
    },
  }
}

/** Lists are repeated parameters: `?filter[scope]=a&filter[scope]=b`. */
const queryParameters = (query: TObject) =>
  Object.entries(query.properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: (query.required ?? []).includes(name),
    ...(schema.description !== undefined && { description: schema.description as string }),
    schema: plain(schema),
    ...(schema.type === 'array' && { style: 'form', explode: true }),
  }))

const successOf = ({ description, schema, example }: Operation['success']) => ({
  description,
  ...(schema && {
    content: { 'application/json': { schema: plain(schema), example: example ?? exampleOf(schema) } },
  }),
})

function responsesOf(
  common: Readonly<Record<number, string>>,
  refusals: readonly Refusal[],
): Record<number, object> {
  const statuses = new Set([...Object.keys(common).map(Number), ...refusals.map(({ status }) => status)])
  return Object.fromEntries(
    [...statuses].map((status) => {
      const own = refusals.filter((refusal) => refusal.status === status)
      const sentences = [common[status], ...own.map(({ code, when }) => `\`${code}\`: ${when}`)]
      return [
        status,
        {
          ...(HEADERS[status] && { headers: HEADERS[status] }),
          description: sentences.filter((sentence) => sentence !== undefined).join('\n\n'),
          content: {
            'application/json': {
              schema: plain(Errors),
              example: {
                errors: [{ title: own[0]?.when ?? common[status], code: own[0]?.code ?? CODES[status] }],
              },
            },
          },
        },
      ]
    }),
  )
}

/** An example of what fits a schema, made of the examples that its parts have; of what may be absent only such parts, and lists. */
export function exampleOf(schema: TSchema): unknown {
  const [example] = Array.isArray(schema.examples) ? schema.examples : []
  if (example !== undefined) return example
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.anyOf)) return exampleOf(schema.anyOf[0])
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries((schema as TObject).properties ?? {})
          .filter(
            ([name, part]) =>
              schema.required?.includes(name) || part.examples !== undefined || part.items?.type === 'object',
          )
          .map(([name, part]) => [name, exampleOf(part)]),
      )
    case 'array':
      return [exampleOf(schema.items)]
    case 'integer':
      return schema.minimum ?? 0
    case 'boolean':
      return false
    case 'string':
      return 'text'
    default:
      return null
  }
}

/** A schema as JSON: without TypeBox's symbols, and without the texts for those who got it wrong. */
const plain = (schema: object): object =>
  JSON.parse(
    JSON.stringify(schema, (key, value: unknown) => (key === 'errorMessage' ? undefined : value)),
  ) as object
