import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { newId } from '../../src/lib/ulid.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, exchange, obtainCode, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

let harness: Harness
let browser: Browser
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  browser = harness.browser()
  await signUp(browser, 'alice')
  clientId = (await registerClient(harness)).client_id
  await addEmail('alice', 'alice@mail.example')
  await addEmail('alice', 'second@mail.example')
})
afterAll(() => harness.close())

const addEmail = async (username: string, email: string): Promise<void> => {
  harness.clock.advance(1)
  const id = newId(harness.clock.now(), harness.deps.random)
  await harness.deps.sql`insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
    select ${id}, u.id, ${email}, ${email}, ${harness.clock.now()} from latchkey.users u where username = ${username}`
}

/** The claims about the person in the ID token and from userinfo, without those that are always there. */
async function claimsFor(scope: string, params: Record<string, string> = {}, id = clientId) {
  const tokens = await exchange(harness, id, await obtainCode(browser, id, { scope, ...params }))
  const payload = JSON.parse(Buffer.from((tokens.id_token ?? '').split('.')[1] ?? '', 'base64url').toString())
  const names = ['preferred_username', 'name', 'email', 'email_verified']
  const only = (all: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)))
  return { tokens, inIdToken: only(payload), fromUserinfo: only(await userinfo(tokens.access_token)) }
}
async function userinfo(token: string): Promise<Record<string, unknown>> {
  const response = await harness.request('/oauth2/userinfo', {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

const PROFILE = { preferred_username: 'alice', name: 'alice Example' }
const EMAIL = { email: 'alice@mail.example', email_verified: true }

describe('claims about the person (OpenID Connect Core 5.4, decision 16)', () => {
  test.each<[string, Record<string, unknown>]>([
    ['openid', {}],
    ['openid profile', PROFILE],
    ['openid email', EMAIL],
    ['openid profile email offline_access', { ...PROFILE, ...EMAIL }],
  ])('%s', async (scope, expected) => {
    const { inIdToken, fromUserinfo, tokens } = await claimsFor(scope)
    expect(inIdToken).toEqual(expected)
    expect(fromUserinfo).toEqual(expected)
    expect(tokens.scope.split(' ').sort()).toEqual(scope.split(' ').sort())
  })

  test('the consent page says what they are', async () => {
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Curious' })
    const page = await browser.open(authorizeUrl(client_id, { scope: 'openid profile email offline_access' }))
    for (const line of ['See your email address', 'See your username and display name', 'Keep its access'])
      expect(page.text).toContain(line)
  })

  test('claims that are asked for one by one are asked for as their scope, on the page', async () => {
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'One by one' })
    const claims = JSON.stringify({ userinfo: { email: { essential: true } } })
    const page = await browser.open(authorizeUrl(client_id, { scope: 'openid', claims }))
    expect(page.text).toContain('See your email address')
    const { fromUserinfo, tokens } = await claimsFor('openid', { claims }, client_id)
    expect(fromUserinfo).toEqual(EMAIL)
    expect(tokens.scope).toBe('email openid')
  })

  test('userinfo tells things as they are now', async () => {
    const { tokens } = await claimsFor('openid profile email')
    await harness.deps
      .sql`update latchkey.users set display_name = 'Alice the Second' where username = 'alice'`
    await harness.deps.sql`delete from latchkey.user_emails where email = 'alice@mail.example'`
    expect(await userinfo(tokens.access_token)).toMatchObject({
      name: 'Alice the Second',
      email: 'second@mail.example',
    })
    await harness.deps.sql`update latchkey.users set display_name = null where username = 'alice'`
    await harness.deps.sql`delete from latchkey.user_emails`
    expect(Object.keys(await userinfo(tokens.access_token)).sort()).toEqual([
      'preferred_username',
      'sub',
      'username',
    ])
  })

  test('a session from before, whose person never saw it, gives none until the next consent', async () => {
    await addEmail('alice', 'alice@mail.example')
    const { tokens } = await claimsFor('openid email')
    await harness.deps.sql`update latchkey.oauth_sessions set claim_scopes = '{}'`
    expect(await userinfo(tokens.access_token)).not.toHaveProperty('email')
    expect((await claimsFor('openid email')).fromUserinfo).toEqual(EMAIL)
  })

  test('a signed answer has them too', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      userinfo_signed_response_alg: 'ES256',
    })
    const code = await obtainCode(browser, client_id, { scope: 'openid email' })
    const { access_token } = await exchange(harness, client_id, code)
    const response = await harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${access_token}` },
    })
    const payload = (await response.text()).split('.')[1] ?? ''
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject(EMAIL)
  })
})
