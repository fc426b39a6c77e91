import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { OPERATIONS } from '../../src/admin/operations.ts'
import { createHarness, type Harness } from '../support/harness.ts'

let harness: Harness
let text: string
// biome-ignore lint/suspicious/noExplicitAny: a document, looked into.
let document: any
beforeAll(async () => {
  harness = await createHarness()
  text = await (await harness.request('/api/spec.json')).text()
  document = JSON.parse(text)
})
afterAll(() => harness.close())

test('GET /api/spec.json: OpenAPI 3.1 with every operation, each with an id, an area and its scopes', () => {
  expect(document.openapi).toBe('3.1.0')
  const listed = Object.entries<Record<string, { operationId: string }>>(document.paths).flatMap(
    ([path, methods]) =>
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
  expect(text).not.toMatch(/https?:\/\/(?!auth\.|www\.apache\.org|localhost)/)
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
