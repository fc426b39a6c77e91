import { afterAll, beforeAll, expect, test } from 'bun:test'
import { signWithSecret } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { registerClient, WEB_CLIENT } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const present = (client: string, secret: string) =>
  harness.form('/oauth2/token', {
    grant_type: 'refresh_token',
    refresh_token: 'x',
    client_id: client,
    client_secret: secret,
  })

test('POST /oauth2/token: wrong client secrets are limited, and then the right one waits too', async () => {
  const { client_id: client, client_secret: secret = '' } = await registerClient(harness, {
    ...WEB_CLIENT,
    token_endpoint_auth_method: 'client_secret_post',
  })
  for (let guess = 0; guess < 10; guess++) expect((await present(client, `wrong ${guess}`)).status).toBe(401)
  const limited = await present(client, 'wrong again')
  expect(limited.status).toBe(429)
  expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await present(client, secret)).status).toBe(429)
  harness.clock.advance(11)
  // Authenticated: what is wrong now is the token.
  expect(await (await present(client, secret)).json()).toMatchObject({ error: 'invalid_grant' })
})

test('POST /oauth2/token: an assertion under a wrong secret is a guess like any other (client_secret_jwt)', async () => {
  const { client_id: id, client_secret: secret = '' } = await registerClient(harness, {
    ...WEB_CLIENT,
    token_endpoint_auth_method: 'client_secret_jwt',
  })
  let jti = 0
  const assert = async (under: string) => {
    const now = Math.floor(harness.clock.now().getTime() / 1000)
    const claims = { iss: id, sub: id, aud: 'http://auth.test/', exp: now + 60, jti: `${jti++}` }
    const { status } = await harness.form('/oauth2/token', {
      grant_type: 'refresh_token',
      refresh_token: 'x',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await signWithSecret(claims, under),
    })
    return status
  }
  for (let guess = 0; guess < 10; guess++) expect(await assert(`wrong ${guess}`.padEnd(32, 'x'))).toBe(401)
  expect(await assert('wrong again'.padEnd(32, 'x'))).toBe(429)
  expect(await assert(secret)).toBe(429)
  harness.clock.advance(11)
  expect(await assert(secret)).toBe(400)
})

test('POST /oauth2/introspect: wrong homeserver secrets are limited, the right one never is', async () => {
  const ask = (secret: string) =>
    harness.form('/oauth2/introspect', { token: 'x' }, { authorization: `Bearer ${secret}` })
  const statuses: number[] = []
  for (let guess = 0; guess < 21; guess++) statuses.push((await ask(`wrong ${guess}`)).status)
  expect(statuses).toEqual([...Array<number>(20).fill(401), 429])
  expect((await ask('test-shared-secret-of-matrix')).status).toBe(200)
})
