import { expect } from 'bun:test'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Page } from '../../support/browser.ts'
import { clientKey } from '../../support/client-keys.ts'
import type { Module } from './basic.ts'
import { checkEndpoints, discovery } from './discovery.ts'
import {
  ISSUER,
  logoutParty,
  NEEDS_PAGE,
  type RelyingParty,
  refuse,
  relyingParty,
  requestOf,
  SIGNED_OUT,
  type Suite,
  signInWith,
} from './suite.ts'

type LogoutParameters = Record<string, string | undefined>
type SignedIn = Awaited<ReturnType<typeof signInWith>>

const STATE = 's'.repeat(128)

/** Signs in, then goes to the end session endpoint with a hint, an address and a state, changed as `change` says. */
async function leave(
  suite: Suite,
  party: RelyingParty,
  change: (signedIn: SignedIn) => LogoutParameters | Promise<LogoutParameters>,
): Promise<{ signedIn: SignedIn; page: Page }> {
  const signedIn = await signInWith(suite, party)
  const all: LogoutParameters = {
    id_token_hint: signedIn.tokens.id_token,
    post_logout_redirect_uri: SIGNED_OUT,
    state: STATE,
    ...(await change(signedIn)),
  }
  const sent = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { signedIn, page: await signedIn.browser.open(`/end-session?${new URLSearchParams(sent)}`) }
}

const isGone = ({ browser }: SignedIn, party: RelyingParty): Promise<void> =>
  refuse(browser, party, requestOf(party, { prompt: 'none' }), NEEDS_PAGE)

/** The person is signed out and back at the client, with nothing but the state that it sent. */
const returns =
  (change: LogoutParameters): Module =>
  async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const { signedIn, page } = await leave(suite, party, () => change)
    const state = 'state' in change ? change.state : STATE
    expect(page.url.href).toBe(state === undefined ? SIGNED_OUT : `${SIGNED_OUT}?state=${state}`)
    await isGone(signedIn, party)
  }

/** Nobody is sent to the client: a page says what is wrong and asks whether to sign out. */
const asks =
  (change: (signedIn: SignedIn) => LogoutParameters | Promise<LogoutParameters>): Module =>
  async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const { signedIn, page } = await leave(suite, party, change)
    expect([page.url.origin, page.status]).toEqual([new URL(ISSUER).origin, 200])
    expect(page.text).toContain('did not register')
    expect(page.text).toContain('action="/end-session/confirm"')
    const confirmed = await page.submit({}, { action: 'end-session/confirm' })
    expect(confirmed.url.origin).toBe(new URL(ISSUER).origin)
    expect(confirmed.text).toContain('You are signed out')
    await isGone(signedIn, party)
  }

/** The person is signed out, after a question where nobody proved who asks, and a page says so. */
const showsSignedOut =
  (change: LogoutParameters): Module =>
  async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const { signedIn, page } = await leave(suite, party, () => change)
    const last = page.text.includes('action="/end-session/confirm"')
      ? await page.submit({}, { action: 'end-session/confirm' })
      : page
    expect([last.url.origin, last.status]).toEqual([new URL(ISSUER).origin, 200])
    expect(last.text).toContain('You are signed out')
    await isGone(signedIn, party)
  }

/** The claims under another header and without a signature. */
const unsigned = (jwt: string): string => {
  const header = btoa(JSON.stringify({ alg: 'none' })).replace(/=+$/, '')
  return `${header}.${jwt.split('.')[1]}.`
}

const verifyEndpoint: Module = async (suite) => {
  const document = await discovery(suite)
  checkEndpoints(document)
  expect(document.end_session_endpoint).toBe(`${ISSUER}end-session`)
}

/** The modules of the plans RP-Initiated Logout and Back-Channel Logout. */
export const LOGOUT_MODULES: Record<string, Module> = {
  'oidcc-rp-initiated-logout-discovery-endpoint-verification': verifyEndpoint,
  'oidcc-rp-initiated-logout': returns({}),
  'oidcc-rp-initiated-logout-bad-post-logout-redirect-uri': asks(() => ({
    post_logout_redirect_uri: `${SIGNED_OUT}/of-nobody`,
  })),
  'oidcc-rp-initiated-logout-modified-id-token-hint': asks(({ tokens }) => ({
    id_token_hint: unsigned(tokens.id_token),
  })),
  'oidcc-rp-initiated-logout-no-id-token-hint': asks(() => ({ id_token_hint: undefined })),
  'oidcc-rp-initiated-logout-no-params': showsSignedOut({
    id_token_hint: undefined,
    post_logout_redirect_uri: undefined,
    state: undefined,
  }),
  'oidcc-rp-initiated-logout-no-post-logout-redirect-uri': showsSignedOut({
    post_logout_redirect_uri: undefined,
  }),
  'oidcc-rp-initiated-logout-no-state': returns({ state: undefined }),
  'oidcc-rp-initiated-logout-only-state': showsSignedOut({
    id_token_hint: undefined,
    post_logout_redirect_uri: undefined,
  }),
  'oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri': asks(() => ({
    post_logout_redirect_uri: `${SIGNED_OUT}?foo=bar`,
  })),
  'oidcc-rp-initiated-logout-bad-id-token-hint': asks(async ({ claims }) => ({
    id_token_hint: await (await clientKey('RS256')).sign(claims),
  })),
  'oidcc-backchannel-logout-discovery-endpoint-verification': async (suite, variant) => {
    await verifyEndpoint(suite, variant)
    const document = await discovery(suite)
    expect(document.backchannel_logout_supported).toBe(true)
    expect(document.backchannel_logout_session_supported).toBe(true)
  },
  'oidcc-backchannel-rp-initiated-logout': async (suite) => {
    const { harness, received, served } = suite
    served.set('/backchannel_logout', () => new Response(null, { status: 200 }))
    const party = logoutParty()
    const { signedIn, page } = await leave(suite, party, () => ({}))
    expect(page.url.href).toBe(`${SIGNED_OUT}?state=${STATE}`)
    await harness.runJobs()
    const told = received.filter(({ path }) => path === '/backchannel_logout')
    expect(told.map(({ body }) => [...body.keys()])).toEqual([['logout_token']])
    const set = (await (await harness.request('/oauth2/keys.json')).json()) as JSONWebKeySet
    const jwt = told[0]?.body.get('logout_token') ?? ''
    const { payload } = await jwtVerify(jwt, createLocalJWKSet(set), {
      issuer: ISSUER,
      audience: party.id,
      algorithms: ['RS256'],
      currentDate: harness.clock.now(),
      requiredClaims: ['iat', 'jti', 'sid'],
    })
    expect(payload.events).toEqual({ 'http://schemas.openid.net/event/backchannel-logout': {} })
    expect(payload.sid).toBe(signedIn.claims.sid as string)
    expect(payload.sub).toBe(signedIn.claims.sub as string)
    expect(payload.nonce).toBeUndefined()
    await isGone(signedIn, party)
  },
}
