import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { approve, poll, registerDeviceClient, requestDevice } from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  API_SCOPE,
  authorizeUrl,
  basic,
  deviceScope,
  exchange,
  MATRIX_SCOPE,
  obtainCode,
  pkce,
  registerClient,
  signUp,
  WEB_CLIENT,
} from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

type Answer = Record<string, unknown>
let address = 0
async function post(metadata: object): Promise<{ status: number; answer: Answer }> {
  const response = await harness.request('/oauth2/registration', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': `192.0.2.${++address % 250}` },
    body: JSON.stringify(metadata),
  })
  return { status: response.status, answer: (await response.json()) as Answer }
}

const SITE = 'https://app.example.com'
const KEYS = { keys: [{ kty: 'RSA', n: 'AQAB', e: 'AQAB', kid: 'one' }] }
const STATEMENT = `${btoa('{"alg":"RS256"}')}.${btoa('{"iss":"x"}')}.AA`

/** What happens to a member: it is kept as it is, has the value of the server, or is refused with this code. */
type Fate = 'kept' | 'ours' | 'invalid_client_metadata'
/** A member, its value in a registration, and what else that registration needs. */
type Row = [name: string, fate: Fate, value: unknown, beside?: object]

/** The registry "OAuth Dynamic Client Registration Metadata" of IANA, in its order (2025-08-04). */
const REGISTRY: Row[] = [
  ['redirect_uris', 'kept', [`${SITE}/a`, `${SITE}/b`]],
  ['token_endpoint_auth_method', 'kept', 'client_secret_post'],
  ['grant_types', 'kept', ['authorization_code', 'refresh_token']],
  ['response_types', 'kept', ['code']],
  ['client_name', 'kept', 'An App'],
  ['client_uri', 'kept', `${SITE}/`],
  ['logo_uri', 'kept', `${SITE}/logo.png`],
  ['scope', 'kept', `email openid ${API_SCOPE}`],
  ['contacts', 'kept', ['a@app.example.com', 'b@app.example.com']],
  ['tos_uri', 'kept', `${SITE}/terms`],
  ['policy_uri', 'kept', `${SITE}/policy`],
  ['jwks_uri', 'kept', `${SITE}/jwks`],
  ['jwks', 'kept', KEYS],
  ['software_id', 'kept', '4NRB1-0XZABZI9E6-5SM3R'],
  ['software_version', 'kept', '1.2.3'],
  ['client_id', 'ours', '01JDFX2V9S6QK3W4Z5Y7T8R9PA'],
  ['client_secret', 'ours', 'a secret of the client'],
  ['client_id_issued_at', 'ours', 1],
  ['client_secret_expires_at', 'ours', 1],
  ['registration_access_token', 'ours', 'a token of the client'],
  ['registration_client_uri', 'ours', `${SITE}/registration`],
  ['application_type', 'kept', 'web'],
  ['sector_identifier_uri', 'kept', `${SITE}/sector`],
  ['subject_type', 'kept', 'public'],
  ['subject_type', 'invalid_client_metadata', 'pairwise'],
  ['id_token_signed_response_alg', 'kept', 'ES256'],
  ['id_token_encrypted_response_alg', 'invalid_client_metadata', 'RSA-OAEP-256'],
  ['id_token_encrypted_response_enc', 'invalid_client_metadata', 'A128GCM'],
  ['userinfo_signed_response_alg', 'kept', 'RS256'],
  ['userinfo_encrypted_response_alg', 'invalid_client_metadata', 'RSA-OAEP-256'],
  ['userinfo_encrypted_response_enc', 'invalid_client_metadata', 'A128GCM'],
  ['request_object_signing_alg', 'kept', 'PS256'],
  ['request_object_encryption_alg', 'invalid_client_metadata', 'RSA-OAEP-256'],
  ['request_object_encryption_enc', 'invalid_client_metadata', 'A128GCM'],
  ['token_endpoint_auth_signing_alg', 'kept', 'ES256'],
  ['default_max_age', 'kept', 3600],
  ['require_auth_time', 'kept', true],
  ['default_acr_values', 'kept', ['urn:example:gold']],
  ['initiate_login_uri', 'kept', `${SITE}/login`],
  ['request_uris', 'kept', [`${SITE}/request`]],
  ['claims_redirect_uris', 'invalid_client_metadata', [`${SITE}/claims`]],
  ['nfv_token_signed_response_alg', 'invalid_client_metadata', 'ES256'],
  ['nfv_token_encrypted_response_alg', 'invalid_client_metadata', 'RSA-OAEP-256'],
  ['nfv_token_encrypted_response_enc', 'invalid_client_metadata', 'A128GCM'],
  ['tls_client_certificate_bound_access_tokens', 'invalid_client_metadata', true],
  ['tls_client_auth_subject_dn', 'invalid_client_metadata', 'cn=app'],
  ['tls_client_auth_san_dns', 'invalid_client_metadata', 'app.example.com'],
  ['tls_client_auth_san_uri', 'invalid_client_metadata', `${SITE}/`],
  ['tls_client_auth_san_ip', 'invalid_client_metadata', '192.0.2.1'],
  ['tls_client_auth_san_email', 'invalid_client_metadata', 'a@app.example.com'],
  ['require_signed_request_object', 'kept', true, { jwks: KEYS }],
  ['require_pushed_authorization_requests', 'kept', true],
  ['introspection_signed_response_alg', 'invalid_client_metadata', 'RS256'],
  ['introspection_encrypted_response_alg', 'invalid_client_metadata', 'RSA-OAEP-256'],
  ['introspection_encrypted_response_enc', 'invalid_client_metadata', 'A128GCM'],
  ['frontchannel_logout_uri', 'invalid_client_metadata', `${SITE}/logout`],
  ['frontchannel_logout_session_required', 'invalid_client_metadata', true],
  ['backchannel_logout_uri', 'kept', `${SITE}/logout`],
  ['backchannel_logout_session_required', 'kept', true],
  ['post_logout_redirect_uris', 'kept', [`${SITE}/bye`]],
  ['authorization_details_types', 'invalid_client_metadata', ['payment']],
  ['dpop_bound_access_tokens', 'kept', true],
  ['client_registration_types', 'invalid_client_metadata', ['automatic']],
  ['signed_jwks_uri', 'invalid_client_metadata', `${SITE}/jwks.jwt`],
  ['organization_name', 'kept', 'An Organization'],
  ['description', 'kept', 'An app for tests'],
  ['keywords', 'kept', ['matrix', 'chat']],
  ['information_uri', 'kept', `${SITE}/about`],
  ['organization_uri', 'kept', 'https://organization.example/'],
  ['use_mtls_endpoint_aliases', 'invalid_client_metadata', true],
  ['encrypted_response_enc_values_supported', 'invalid_client_metadata', ['A128GCM']],
  ['vp_formats_supported', 'invalid_client_metadata', { 'dc+sd-jwt': {} }],
]

/** Members of specifications that registered none with IANA: JARM and CIBA. */
const ELSEWHERE: Row[] = [
  'authorization_signed_response_alg',
  'authorization_encrypted_response_alg',
  'authorization_encrypted_response_enc',
  'backchannel_token_delivery_mode',
  'backchannel_client_notification_endpoint',
  'backchannel_authentication_request_signing_alg',
  'backchannel_user_code_parameter',
].map((name) => [name, 'invalid_client_metadata', name.endsWith('parameter') ? true : 'RS256'])

const { client_uri, redirect_uris } = WEB_CLIENT
const SMALLEST = { client_uri, redirect_uris, token_endpoint_auth_method: 'client_secret_basic' }

describe('every member of client metadata is kept, ours to say, or refused with a reason (RFC 7591 sections 2 and 3.2)', () => {
  test.each([...REGISTRY, ...ELSEWHERE])('%s: %s', async (name, fate, value, beside = {}) => {
    const { status, answer } = await post({ ...SMALLEST, ...beside, [name]: value })
    if (fate === 'kept') {
      expect([status, answer.error_description]).toEqual([201, undefined])
      expect(answer[name]).toEqual(value)
      const read = await harness.request(new URL(String(answer.registration_client_uri)).pathname, {
        headers: { authorization: `Bearer ${answer.registration_access_token}` },
      })
      expect(((await read.json()) as Answer)[name]).toEqual(value)
    } else if (fate === 'ours') {
      expect(status).toBe(201)
      expect(answer[name]).toBeDefined()
      expect(answer[name]).not.toEqual(value)
    } else {
      expect([status, answer.error]).toEqual([400, fate])
      expect(answer.error_description).toStartWith(name)
    }
  })

  test.each(REGISTRY.filter(([, fate, value]) => fate === 'invalid_client_metadata' && value !== 'pairwise'))(
    '%s is no matter while it asks for nothing',
    async (name) => {
      for (const nothing of [false, [], null]) {
        const { status, answer } = await post({ ...SMALLEST, [name]: nothing })
        expect([nothing, status, Object.hasOwn(answer, name)]).toEqual([nothing, 201, false])
      }
    },
  )

  test.each([
    'client_name',
    'client_uri',
    'logo_uri',
    'tos_uri',
    'policy_uri',
    'organization_name',
    'description',
  ])('%s is kept in every language (RFC 7591 section 2.2)', async (name) => {
    const value = name.endsWith('_uri') ? `${SITE}/x` : 'Text'
    const tagged = { [`${name}#fr`]: value, [`${name}#zh-Hans`]: value }
    const { status, answer } = await post({ ...SMALLEST, [name]: value, ...tagged })
    expect(status).toBe(201)
    expect(answer).toMatchObject({ [name]: value, ...tagged })
  })

  test('what was read can be sent back as it was (RFC 7592 section 2.2)', async () => {
    const { client_name, logo_uri } = { client_name: 'Round', logo_uri: `${SITE}/logo.png` }
    const { answer } = await post({
      ...SMALLEST,
      client_name,
      logo_uri,
      scope: 'openid',
      response_types: ['code'],
    })
    const { registration_access_token: token, registration_client_uri: uri, ...sent } = answer
    for (const name of ['client_id_issued_at', 'client_secret_expires_at']) delete sent[name]
    const replaced = await harness.request(new URL(String(uri)).pathname, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(sent),
    })
    expect((await replaced.json()) as Answer).toEqual(answer)
  })

  test('response types go with grants that are not served', async () => {
    const { answer } = await post({
      ...SMALLEST,
      grant_types: ['authorization_code', 'implicit'],
      response_types: ['code', 'id_token', 'code id_token', 'none'],
    })
    expect([answer.grant_types, answer.response_types]).toEqual([['authorization_code'], ['code']])
  })
})

describe('software_statement (RFC 7591 sections 2.3 and 3.2.2): no issuer is trusted', () => {
  test.each<[string, unknown, string]>([
    ['a JWT', STATEMENT, 'unapproved_software_statement'],
    ['no JWT', 'a.b.c', 'invalid_software_statement'],
    ['no text', 7, 'invalid_software_statement'],
  ])('%s', async (_name, software_statement, code) => {
    const { status, answer } = await post({ ...SMALLEST, software_statement })
    expect([status, answer.error]).toEqual([400, code])
  })
})

describe('scope is the limit of what a client may ask for (RFC 7591 section 2)', () => {
  const limited = async (scope: string, more: object = {}) =>
    String((await registerClient(harness, { ...WEB_CLIENT, ...more, scope })).client_id)

  /** The error that an authorization request is answered with, at once. */
  async function errorOf(clientId: string, params: Record<string, string>): Promise<string | null> {
    const headers = { referer: 'https://app.example.com/' }
    const { headers: answer } = await harness.request(authorizeUrl(clientId, params), { headers })
    return new URL(answer.get('location') ?? '', harness.origin).searchParams.get('error')
  }

  test('a client that registered none is not limited', async () => {
    const { client_id } = await registerClient(harness)
    for (const scope of ['openid', MATRIX_SCOPE, 'openid profile email'])
      expect(await errorOf(client_id, { scope })).toBeNull()
    const empty = await limited('', { client_name: 'Empty' })
    expect(await errorOf(empty, { scope: MATRIX_SCOPE })).toBeNull()
  })

  test('what was registered may be asked for, in whole or in part; nothing else', async () => {
    const clientId = await limited('openid profile')
    for (const scope of ['openid', 'openid profile', 'profile'])
      expect(await errorOf(clientId, { scope })).toBeNull()
    for (const scope of ['openid email', API_SCOPE, `openid ${API_SCOPE} ${deviceScope('AAAAAAAAAA')}`])
      expect(await errorOf(clientId, { scope })).toBe('invalid_scope')
  })

  test('the Matrix API in either spelling, and any device with it', async () => {
    const clientId = await limited(`openid ${API_SCOPE}`)
    const unstable = 'urn:matrix:org.matrix.msc2967.client'
    for (const scope of [MATRIX_SCOPE, `openid ${unstable}:api:* ${unstable}:device:BBBBBBBBBB`])
      expect(await errorOf(clientId, { scope })).toBeNull()
    expect(await errorOf(clientId, { scope: 'openid urn:synapse:admin:*' })).toBe('invalid_scope')
  })

  test('claims beyond it are left out, as voluntary ones are (OpenID Connect Core 5.5)', async () => {
    const clientId = await limited('openid')
    const browser = harness.browser()
    await signUp(browser, 'claims')
    const claims = JSON.stringify({ id_token: { email: null, name: null } })
    const { scope } = await exchange(
      harness,
      clientId,
      await obtainCode(browser, clientId, { scope: 'openid', claims }),
    )
    expect(scope).toBe('openid')
  })

  test('POST /oauth2/par, /oauth2/device and client credentials keep it too', async () => {
    const clientId = await limited('openid')
    const pushed = await harness.form('/oauth2/par', {
      client_id: clientId,
      response_type: 'code',
      redirect_uri: redirect_uris[0] ?? '',
      scope: 'openid email',
      code_challenge: pkce().challenge,
      code_challenge_method: 'S256',
    })
    expect([pushed.status, ((await pushed.json()) as Answer).error]).toEqual([400, 'invalid_scope'])

    const device = await registerDeviceClient(harness, { scope: 'openid' })
    const asked = await harness.form('/oauth2/device', { client_id: device, scope: 'openid email' })
    expect([asked.status, ((await asked.json()) as Answer).error]).toEqual([400, 'invalid_scope'])
    const browser = harness.browser()
    await signUp(browser, 'viewer')
    const { device_code, user_code } = await requestDevice(harness, device, { scope: 'openid' })
    await approve(browser, user_code)
    expect((await poll(harness, device, device_code)).body.scope).toBe('openid')

    const { client_id, client_secret } = await registerClient(harness, {
      ...WEB_CLIENT,
      grant_types: ['client_credentials'],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
      scope: 'openid',
    })
    const grant = (scope: string) =>
      harness.form(
        '/oauth2/token',
        { grant_type: 'client_credentials', scope },
        basic(client_id, client_secret ?? ''),
      )
    expect((await grant('openid')).status).toBe(200)
    const refused = await grant('openid email')
    expect([refused.status, ((await refused.json()) as Answer).error]).toEqual([400, 'invalid_scope'])
  })

  test('what is no list of scopes is refused', async () => {
    for (const scope of ['a"b', 'a  b', ' ', 7]) {
      const { status, answer } = await post({ ...SMALLEST, scope })
      expect([scope, status, answer.error]).toEqual([scope, 400, 'invalid_client_metadata'])
    }
  })
})
