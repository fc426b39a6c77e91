import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, signedInApp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

test('a person signs up, consents, and the homeserver accepts the token (the whole grant)', async () => {
  const { tokens } = await signedInApp(harness, 'alice')
  expect(tokens.token_type).toBe('Bearer')
  expect(tokens.expires_in).toBe(300)
  expect(await introspect(harness, tokens.access_token)).toMatchObject({
    active: true,
    username: 'alice',
    token_type: 'access_token',
    expires_in: 300,
  })
  expect(harness.homeserver.devicesOf('alice')).toContain('AAAAAAAAAA')
})
