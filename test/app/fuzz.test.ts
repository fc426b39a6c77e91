import { afterAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createApp, type Resource } from '../../src/app.ts'
import { fuzzedRequests, parameterNames } from '../support/fuzz.ts'
import { checkAnswer, sendFuzzed } from '../support/fuzz-answers.ts'
import { createSite } from '../support/fuzz-site.ts'
import { createHarness } from '../support/harness.ts'

/**
 * Every route of the table, with whatever somebody might send to it. A new route is tried without being named here.
 * `LATCHKEY_RUNS=1000 bun test test/app/fuzz.test.ts` is a long search, of so many requests for each route, and `LATCHKEY_SEED=…` repeats one that failed.
 */
const RESOURCES = [
  'discovery',
  'human',
  'oauth',
  'compat',
  'adminapi',
  'graphql',
  'assets',
  'health',
  'prometheus',
  'connection-info',
  'well-known',
].map((name) => ({ name }) as Resource)
// Here and not in `beforeAll`: the tests are made from the table.
const harness = await createHarness()
const app = createApp(harness.deps, { resources: RESOURCES })
const names = await parameterNames()

/** Requests altogether, if nothing else is asked for: the more routes there are, the fewer each gets. */
const REQUESTS = 3000
const { LATCHKEY_RUNS: runs, LATCHKEY_SEED: seed } = process.env
const RUNS = runs === undefined ? Math.max(12, Math.round(REQUESTS / app.routes.length)) : Number(runs)
const OPTIONS = { numRuns: RUNS, ...(seed !== undefined && { seed: Number(seed) }) }
const LIMIT = 180_000 + RUNS * 500

const site = await createSite(harness, app)
afterAll(() => harness.close())

describe('whatever is sent, every route answers in the form of its surface, and nothing goes wrong inside', () => {
  for (const { method, path } of app.routes)
    test(
      `${method} ${path}`,
      async () => {
        const known = await site.knowledge(path)
        const requests = fuzzedRequests(method, {
          names: { own: names.of(path), all: names.all },
          ...known,
        })
        await fc.assert(
          fc.asyncProperty(requests, async (request) => {
            const before = harness.logged.length
            const response = await sendFuzzed(harness, app, path, request)
            await checkAnswer(harness, path, request, response)
            const errors = harness.logged.slice(before).filter(({ level }) => level === 'error')
            expect(errors.map(({ event, fields }) => `${event} ${fields.error}`)).toEqual([])
          }),
          OPTIONS,
        )
      },
      LIMIT,
    )
})

test('parameters are found where they are read', () => {
  expect(names.of('/oauth2/token')).toContain('grant_type')
  expect(names.of('/login')).toContain('username')
  for (const name of ['client_id', 'redirect_uri', 'code_verifier', 'csrf', 'login_hint', 'request_uri'])
    expect(names.all).toContain(name)
})
