import { expect } from 'bun:test'
import type { Variant } from './plans.ts'
import { ISSUER, type Suite } from './suite.ts'

/** The discovery document as a client reads it. */
export async function discovery({ harness }: Suite): Promise<Record<string, unknown>> {
  const response = await harness.request('/.well-known/openid-configuration')
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
  return (await response.json()) as Record<string, unknown>
}

/** Every endpoint that the document names is `https` and ours. */
export function checkEndpoints(document: Record<string, unknown>): void {
  const named = Object.entries(document).filter(([name]) => /_(endpoint|uri)$/.test(name))
  expect(named.length).toBeGreaterThan(5)
  for (const [name, value] of named) expect([name, String(value).startsWith(ISSUER)]).toEqual([name, true])
}

/** OpenID Connect Discovery sections 3 and 4, RFC 8414 section 2. */
export async function verifyDiscovery(suite: Suite, { client }: Variant): Promise<void> {
  const document = await discovery(suite)
  expect(document.issuer).toBe(ISSUER)
  checkEndpoints(document)
  for (const name of ['authorization_endpoint', 'token_endpoint', 'userinfo_endpoint', 'jwks_uri'])
    expect(document[name]).toBeString()
  expect(document.grant_types_supported).toContain('authorization_code')
  expect(document.response_types_supported).toContain('code')
  if (client === 'dynamic_client') {
    // OpenID Connect Core section 15.2: mandatory for this profile alone, and served when the operator says so.
    expect(document.response_types_supported).toEqual(['code', 'id_token', 'id_token token'])

    expect(document.registration_endpoint).toBeString()
    expect(document.request_uri_parameter_supported).toBe(true)
  }
  expect(document.subject_types_supported).toEqual(['public'])
  for (const name of ['id_token', 'userinfo', 'request_object'])
    expect(document[`${name}_signing_alg_values_supported`]).toContain('RS256')
  expect(document.request_parameter_supported).toBe(true)
  expect(document.claims_parameter_supported).toBe(true)
  expect(document.claims_supported).toContain('sub')
  expect(document.scopes_supported).toContain('openid')
  for (const scope of document.scopes_supported as string[])
    expect(scope).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/)
  for (const tag of document.ui_locales_supported as string[])
    expect(Intl.getCanonicalLocales(tag)).toEqual([tag])
  expect(document.code_challenge_methods_supported).toEqual(['S256'])
  for (const [name, value] of Object.entries(document))
    if (name.endsWith('_supported'))
      expect([name, Array.isArray(value) || typeof value === 'boolean']).toEqual([name, true])
  await keys(suite)
}

/** The key set: unpadded base64url, a `kid` of its own for each key, no private part (RFC 7517). */
export async function keys({ harness }: Suite): Promise<Record<string, string>[]> {
  const response = await harness.request('/oauth2/keys.json')
  const set = ((await response.json()) as { keys: Record<string, string>[] }).keys
  expect(new Set(set.map(({ kid }) => kid)).size).toBe(set.length)
  for (const key of set) {
    expect(key.kid).toBeString()
    expect(Object.keys(key).filter((name) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name))).toEqual(
      [],
    )
    for (const name of ['n', 'e', 'x', 'y']) expect(key[name] ?? 'x').toMatch(/^[\w-]+$/)
  }
  return set
}
