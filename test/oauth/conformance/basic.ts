import { expect } from 'bun:test'
import { pkce } from '../../support/oauth.ts'
import { discovery } from './discovery.ts'
import type { Variant } from './plans.ts'
import {
  anotherParty,
  authorize,
  checkIdToken,
  codeGrant,
  exchangeCode,
  ISSUER,
  NEEDS_PAGE,
  openRequest,
  postParty,
  proceed,
  readUserinfo,
  refuse,
  registered,
  relyingParty,
  requestOf,
  type Suite,
  seen,
  signInWith,
  token,
  userinfo,
} from './suite.ts'

/** What a module of the suite does and checks. A module that the suite would skip checks why it may be skipped. */
export type Module = (suite: Suite, variant: Variant) => Promise<void>

const signsIn =
  (params: Record<string, string | undefined>): Module =>
  async (suite, variant) => {
    await signInWith(suite, await relyingParty(suite, variant), params)
  }

/** Signs in twice in one browser; the second time must need no page, or the pages that are named. */
async function twice(
  suite: Suite,
  variant: Variant,
  first: Record<string, string | undefined>,
  second: (idToken: string) => Record<string, string | undefined>,
  pages: string[],
) {
  const party = await relyingParty(suite, variant)
  const before = await signInWith(suite, party, first)
  suite.harness.clock.advance(2)
  const after = await signInWith(suite, party, second(before.tokens.id_token), before.browser)
  expect(seen(after.answer)).toEqual(pages)
  expect(after.claims.sub).toBe(before.claims.sub as string)
  return { before, after }
}

/** No interaction, the same person, the same time of sign-in. */
const silently =
  (
    first: Record<string, string | undefined>,
    second: (idToken: string) => Record<string, string | undefined>,
  ): Module =>
  async (suite, variant) => {
    const { before, after } = await twice(suite, variant, first, second, [])
    expect(after.claims.auth_time).toBe(before.claims.auth_time as number)
  }

/** The person signs in once more, and the ID token says so. */
const signsInAgain =
  (second: Record<string, string | undefined>): Module =>
  async (suite, variant) => {
    const { before, after } = await twice(suite, variant, {}, () => second, ['login'])
    expect(Number(after.claims.auth_time)).toBeGreaterThan(Number(before.claims.auth_time))
  }

/** The claims of a scope come from userinfo, and are asked for on the consent page. */
const scopeGives =
  (scope: string, claims: string[]): Module =>
  async (suite, variant) => {
    const { info, tokens } = await signInWith(suite, await relyingParty(suite, variant), { scope })
    expect(tokens.scope?.split(' ').sort()).toEqual(scope.split(' ').sort())
    for (const claim of claims) expect(info[claim]).toBeDefined()
    if ('email' in info) expect(info.email_verified).toBe(true)
  }

/** The suite leaves a scope module out when discovery does not name the scope. */
const scopeIsNotOffered =
  (scope: string): Module =>
  async (suite) => {
    expect((await discovery(suite)).scopes_supported).not.toContain(scope)
  }

/** The suite leaves modules with unsigned request objects out when discovery does not name `none`. */
const unsignedIsNotOffered: Module = async (suite) => {
  const algorithms = (await discovery(suite)).request_object_signing_alg_values_supported
  expect(algorithms).toContain('RS256')
  expect(algorithms).not.toContain('none')
}

const userinfoBy =
  (ask: (suite: Suite, accessToken: string) => Promise<Response>): Module =>
  async (suite, variant) => {
    const { tokens, claims } = await signInWith(suite, await relyingParty(suite, variant))
    const info = await readUserinfo(await ask(suite, tokens.access_token))
    expect(info.sub).toBe(claims.sub as string)
  }

/** A page of ours says what is wrong; nothing goes to an address. */
const endsOnPage =
  (params: Record<string, string | undefined>, status = 400): Module =>
  async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const page = await openRequest(suite.harness.browser(), requestOf(party, params))
    expect([page.url.origin, page.status]).toEqual([new URL(ISSUER).origin, status])
    expect(page.text).toContain('redirect_uri')
  }

async function reuse(suite: Suite, variant: Variant, pause: number) {
  const party = await relyingParty(suite, variant)
  const request = requestOf(party)
  const { code } = await authorize(suite.harness.browser(), party, request)
  const tokens = await exchangeCode(suite, party, code)
  suite.harness.clock.advance(pause)
  const second = await token(suite, party, codeGrant(party, code))
  expect([second.status, second.body.error]).toEqual([400, 'invalid_grant'])
  expect(second.body.access_token).toBeUndefined()
  return tokens
}

/** Tokens are refreshed for their own client and no other (RFC 6749 section 6, OpenID Connect Core section 12). */
const refreshes: Module = async (suite, variant) => {
  const refresh = async (
    party: Awaited<ReturnType<typeof relyingParty>>,
    refreshToken: string,
    scope?: string,
  ) =>
    token(suite, party, {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      ...(scope !== undefined && { scope }),
    })
  const asked = { scope: 'openid offline_access', prompt: 'consent' }
  const party = await relyingParty(suite, variant)
  const { tokens, claims } = await signInWith(suite, party, asked)
  suite.harness.clock.advance(1)
  const { status, body } = await refresh(party, tokens.refresh_token, 'openid offline_access')
  expect([status, body.error]).toEqual([200, undefined])
  expect(body.access_token).not.toBe(tokens.access_token)
  expect(body.expires_in).toBeGreaterThan(0)
  expect(body.refresh_token).toMatch(/^[\x20-\x7e]{22,}$/)
  expect((await userinfo(suite, body.access_token ?? '')).sub).toBe(claims.sub as string)
  // Section 12.2: an ID token is not needed; if there is one it is about the same sign-in.
  if (body.id_token !== undefined) {
    const renewed = await checkIdToken(suite, party, body.id_token, {})
    for (const name of ['iss', 'sub', 'auth_time', 'azp'])
      expect([name, renewed[name]]).toEqual([name, claims[name]])
  }
  const other = await anotherParty(suite, variant)
  const theirs = await signInWith(suite, other, asked)
  const stolen = await refresh(party, theirs.tokens.refresh_token)
  expect([stolen.status, stolen.body.error]).toEqual([400, 'invalid_grant'])
  expect((await refresh(other, theirs.tokens.refresh_token)).status).toBe(200)
}

/** The modules of the plans Basic and Form Post. */
export const BASIC_MODULES: Record<string, Module> = {
  'oidcc-server': async (suite, variant) => {
    const { answer } = await signInWith(suite, await relyingParty(suite, variant))
    expect(seen(answer)[0]).toBe('login')
  },
  'oidcc-response-type-missing': async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const request = requestOf(party, { response_type: undefined })
    await refuse(suite.harness.browser(), party, request, ['invalid_request', 'unsupported_response_type'])
  },
  // With registration only: RS256 is what a client gets that asks for nothing.
  'oidcc-idtoken-signature': async (suite, variant) => {
    await signInWith(suite, await registered(suite, { ...variant, client: 'dynamic_client' }, {}))
  },
  'oidcc-idtoken-unsigned': async (suite) => {
    const { id_token_signing_alg_values_supported: algorithms } = await discovery(suite)
    expect(algorithms).toContain('RS256')
    expect(algorithms).not.toContain('none')
  },
  'oidcc-userinfo-get': userinfoBy(({ harness }, token) =>
    harness.request('/oauth2/userinfo', { headers: { authorization: `Bearer ${token}` } }),
  ),
  'oidcc-userinfo-post-header': userinfoBy(({ harness }, token) =>
    harness.request('/oauth2/userinfo', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    }),
  ),
  'oidcc-userinfo-post-body': userinfoBy(({ harness }, token) =>
    harness.form('/oauth2/userinfo', { access_token: token }),
  ),
  'oidcc-ensure-request-without-nonce-succeeds-for-code-flow': signsIn({ nonce: undefined }),
  'oidcc-scope-profile': scopeGives('openid profile', ['name', 'preferred_username']),
  'oidcc-scope-email': scopeGives('openid email', ['email', 'email_verified']),
  'oidcc-scope-address': scopeIsNotOffered('address'),
  'oidcc-scope-phone': scopeIsNotOffered('phone'),
  'oidcc-scope-all': scopeIsNotOffered('phone'),
  'oidcc-alternate-happy-flow': async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const request = requestOf(party, { scope: 'email openid' })
    const reordered = Object.fromEntries(Object.entries(request).reverse())
    const { code } = await authorize(suite.harness.browser(), party, reordered)
    const { access_token } = await exchangeCode(suite, party, code)
    expect((await userinfo(suite, access_token)).email).toBe('buffy@example.com')
  },
  'oidcc-display-page': signsIn({ display: 'page' }),
  'oidcc-display-popup': signsIn({ display: 'popup' }),
  'oidcc-prompt-login': signsInAgain({ prompt: 'login' }),
  'oidcc-prompt-none-not-logged-in': async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const request = requestOf(party, { prompt: 'none', state: 'x'.repeat(128) })
    await refuse(suite.harness.browser(), party, request, NEEDS_PAGE)
  },
  'oidcc-prompt-none-logged-in': silently({}, () => ({ prompt: 'none' })),
  'oidcc-max-age-1': signsInAgain({ max_age: '1' }),
  'oidcc-max-age-10000': silently({ max_age: '15000' }, () => ({ max_age: '10000' })),
  'oidcc-ensure-request-with-unknown-parameter-succeeds': signsIn({ extra: 'foobar' }),
  'oidcc-id-token-hint': silently({}, (hint) => ({ prompt: 'none', id_token_hint: hint })),
  'oidcc-login-hint': signsIn({ login_hint: 'buffy@auth.example.com' }),
  'oidcc-ui-locales': signsIn({ ui_locales: 'se' }),
  'oidcc-claims-locales': signsIn({ claims_locales: 'se' }),
  'oidcc-ensure-request-with-acr-values-succeeds': async (suite, variant) => {
    const { acr_values_supported: supported } = await discovery(suite)
    const wanted = (supported as string[]).join(' ')
    const { claims } = await signInWith(suite, await relyingParty(suite, variant), { acr_values: wanted })
    expect(supported).toContain(claims.acr as string)
  },
  'oidcc-codereuse': async (suite, variant) => {
    await reuse(suite, variant, 0)
  },
  'oidcc-codereuse-30seconds': async (suite, variant) => {
    const { access_token } = await reuse(suite, variant, 30)
    const response = await suite.harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${access_token}` },
    })
    expect(response.status).toBe(401)
  },
  'oidcc-ensure-registered-redirect-uri': endsOnPage({
    redirect_uri: 'https://suite.example.com/test/a/latchkey/callback/of-nobody',
  }),
  'oidcc-ensure-post-request-succeeds': async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const request = requestOf(party)
    const browser = suite.harness.browser()
    const first = await browser.post('/authorize', request)
    const { code } = await authorize(browser, party, request, first)
    const { id_token } = await exchangeCode(suite, party, code)
    await checkIdToken(suite, party, id_token, request)
  },
  'oidcc-server-client-secret-post': async (suite, variant) => {
    await signInWith(suite, postParty(variant))
  },
  'oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported': unsignedIsNotOffered,
  'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported': unsignedIsNotOffered,
  'oidcc-claims-essential': async (suite, variant) => {
    const claims = JSON.stringify({ userinfo: { name: { essential: true } } })
    const { info } = await signInWith(suite, await relyingParty(suite, variant), { claims })
    expect(info.name).toBe('buffy Example')
  },
  // The suite leaves it out where request objects must be signed; a signed one shows that the inner address counts.
  'oidcc-ensure-request-object-with-redirect-uri': async (suite, variant) => {
    await unsignedIsNotOffered(suite, variant)
    const party = await registered(
      suite,
      { ...variant, client: 'dynamic_client', auth: 'private_key_jwt' },
      {},
    )
    const inside = requestOf(party)
    const object = await party.key?.sign({ ...inside, iss: party.id, aud: ISSUER })
    const outside = { ...inside, redirect_uri: 'https://suite.example.com/of-nobody', request: object ?? '' }
    const browser = suite.harness.browser()
    const answer = await proceed(party, await openRequest(browser, outside))
    expect(answer.params.get('code')).toBeString()
  },
  'oidcc-refresh-token': refreshes,
  'oidcc-ensure-request-with-valid-pkce-succeeds': async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const { verifier, challenge } = pkce('p'.repeat(64))
    const request = requestOf(party, { code_challenge: challenge, code_challenge_method: 'S256' })
    const { code } = await authorize(suite.harness.browser(), party, request)
    const without = await token(suite, party, codeGrant(party, code))
    expect(without.status).toBe(400)
    await exchangeCode(suite, party, code, { code_verifier: verifier })
  },
}
