import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { OPERATIONS } from '../../src/admin/operations.ts'
import { createHarness, type Harness } from '../support/harness.ts'

let harness: Harness
let text: string
let document: Document

/** The parts of an OpenAPI document that are looked into here. */
interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { securitySchemes: { token: { description: string } } }
}
interface Operation {
  operationId: string
  requestBody?: Content
  responses: Record<string, Content & { headers?: object }>
}
interface Content {
  content: { 'application/json': { example?: unknown } }
}

beforeAll(async () => {
  harness = await createHarness()
  text = await (await harness.request('/api/spec.json')).text()
  document = JSON.parse(text)
})
afterAll(() => harness.close())

test('GET /api/spec.json: OpenAPI 3.1 with every operation, each with an id, an area and its scopes', () => {
  expect(document.openapi).toBe('3.1.0')
  const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, { operationId }]) => `${method.toUpperCase()} ${path} ${operationId}`,
    ),
  )
  const operations = OPERATIONS.map(({ method, path, id }) => `${method} /api/admin/v1${path} ${id}`)
  expect(listed.sort()).toEqual(operations.sort())
  expect(new Set(OPERATIONS.map(({ id }) => id)).size).toBe(OPERATIONS.length)
})

test('the document names no message that is meant for errors, and no other server', () => {
  expect(text).not.toContain('errorMessage')
  expect(text).not.toMatch(/https?:\/\/(?!auth\.|www\.apache\.org|localhost|[\w.]*example\.com)/)
})

test('the document stands up to Redocly’s rules', async () => {
  const config = await createConfig({
    extends: ['recommended'],
    // MAS's own paths: /users/by-username/{username} beside /users/{id}/lock.
    rules: { 'security-defined': 'error', 'no-ambiguous-paths': 'off' },
  })
  const problems = await lintFromString({ source: text, absoluteRef: 'spec.json', config })
  expect(
    problems.map(({ ruleId, message, location }) => `${ruleId} ${message} ${location[0]?.pointer}`),
  ).toEqual([])
})

/** Every JSON body of the document that has a schema, with where it is. */
function bodies(): { where: string; schema: TSchema; example: unknown }[] {
  return OPERATIONS.flatMap(({ id, body, success }) => [
    ...(success.schema ? [{ where: `${id} ${success.status}`, schema: success.schema }] : []),
    ...(body ? [{ where: `${id} request`, schema: body }] : []),
  ]).map(({ where, schema }) => ({ where, schema, example: exampleOf(where) }))
}

const operations = (): Operation[] =>
  Object.values(document.paths).flatMap((methods) => Object.values(methods))

function exampleOf(where: string): unknown {
  const [id = '', what = ''] = where.split(' ')
  const found = operations().find(({ operationId }) => operationId === id)
  const answer = what === 'request' ? found?.requestBody : found?.responses[what]
  return answer?.content['application/json'].example
}

test('every answer and every body has an example that fits its schema', () => {
  const wrong = bodies().filter(({ schema, example }) => !Value.Check(schema, example))
  expect(wrong.map(({ where, example }) => `${where}: ${JSON.stringify(example)}`)).toEqual([])
})

test('every error has an example with a code, and tells what comes in its headers', () => {
  for (const { operationId, responses } of operations())
    for (const [status, { content, headers }] of Object.entries(responses)) {
      if (Number(status) < 400) continue
      const { errors } = content['application/json'].example as {
        errors: { code: unknown; title: unknown }[]
      }
      expect([operationId, status, typeof errors[0]?.code, typeof errors[0]?.title]).toEqual([
        operationId,
        status,
        'string',
        'string',
      ])
      if (status === '401') expect(headers).toHaveProperty('WWW-Authenticate')
      if (status === '503' || status === '429') expect(headers).toHaveProperty('Retry-After')
    }
})

test('tokens that are bound to a key are mentioned (RFC 9449)', () => {
  expect(document.components.securitySchemes.token.description).toContain('DPoP')
})
