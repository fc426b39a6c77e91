import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Fapi, startFapi } from '../support/fapi2.ts'
import { FAPI2_MODULES, PREFIX } from './conformance/fapi2.ts'

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
  for (const [name, run] of Object.entries(FAPI2_MODULES)) test(PREFIX + name, () => run(fapi))
})

test('no module went wrong in silence: nothing that we did not expect was logged', () => {
  expect(fapi.harness.logged.filter(({ level }) => level === 'error')).toEqual([])
})
