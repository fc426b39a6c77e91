import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Fapi, startFapi } from '../support/fapi2.ts'
import { FAPI2_MODULES } from './conformance/fapi2.ts'
import { FAPI2_OTHER_PROFILES, FAPI2_PREFIX, FAPI2_SECURITY_PROFILE } from './conformance/plans.ts'
import { missingTests } from './conformance/suite.ts'
import { FAPI2_RULE_TESTS } from './conformance/table.ts'

/**
 * The OpenID Foundation’s certification plan of the FAPI 2.0 Security Profile, one test for each module, named after it.
 * It is our own reading of what the modules check; see `conformance.test.ts`. The rules themselves, section by section,
 * are in `fapi2.test.ts`.
 */
let fapi: Fapi
beforeAll(async () => {
  fapi = await startFapi()
})
afterAll(() => fapi.harness.close())

describe('fapi2-security-profile-final-test-plan (plain_fapi, private_key_jwt, dpop, openid_connect)', () => {
  for (const name of FAPI2_SECURITY_PROFILE)
    test(FAPI2_PREFIX + name, async () => {
      const run = FAPI2_MODULES[name]
      if (!run) throw new Error(`nothing performs ${name}`)
      await run(fapi)
    })
})

test('no module went wrong in silence: nothing that we did not expect was logged', () => {
  expect(fapi.harness.logged.filter(({ level }) => level === 'error')).toEqual([])
})

test('every module that is written here belongs to the plan, and none that does is another profile’s', () => {
  expect(Object.keys(FAPI2_MODULES)).toEqual([...FAPI2_SECURITY_PROFILE])
  expect(FAPI2_SECURITY_PROFILE.filter((name) => name in FAPI2_OTHER_PROFILES)).toEqual([])
})

test('beside each module stand the tests of its rule, and they exist (conformance/table.ts)', async () => {
  expect(Object.keys(FAPI2_RULE_TESTS)).toEqual([...FAPI2_SECURITY_PROFILE])
  expect(await missingTests(FAPI2_RULE_TESTS)).toEqual([])
})
