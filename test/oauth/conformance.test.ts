import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { DYNAMIC_MODULES } from './conformance/dynamic.ts'
import { LOGOUT_MODULES } from './conformance/logout.ts'
import { PLANS } from './conformance/plans.ts'
import { missingTests, type Suite, startSuite } from './conformance/suite.ts'
import { RULE_TESTS } from './conformance/table.ts'

/**
 * The OpenID Foundation’s certification plans for providers, one test for each module, named after it. It is our own
 * reading of what the modules check, so that a change that would fail one is seen here first; a certification is a run
 * of the suite itself (docs/operations.md says how to configure for it).
 */
const MODULES = { ...DYNAMIC_MODULES, ...LOGOUT_MODULES }

let suite: Suite
beforeAll(async () => {
  suite = await startSuite()
})
afterAll(() => suite.close())

for (const { name, variant, modules } of PLANS)
  describe(`${name} (${variant.client}, ${variant.auth}, response mode ${variant.mode})`, () => {
    for (const module of modules)
      test(module, async () => {
        const run = MODULES[module]
        if (!run) throw new Error(`nothing performs ${module}`)
        await run(suite, variant)
      })
  })

test('no module went wrong in silence: nothing that we did not expect was logged', () => {
  expect(suite.harness.logged.filter(({ level }) => level === 'error')).toEqual([])
})

test('every module that is written here belongs to a plan', () => {
  const planned = new Set(PLANS.flatMap(({ modules }) => modules))
  expect(Object.keys(MODULES).filter((name) => !planned.has(name))).toEqual([])
})

test('beside each module stand the tests of its rule, and they exist (conformance/table.ts)', async () => {
  const planned = new Set(PLANS.flatMap(({ modules }) => modules))
  expect(Object.keys(RULE_TESTS).sort()).toEqual([...planned].sort())
  expect(await missingTests(RULE_TESTS)).toEqual([])
})
