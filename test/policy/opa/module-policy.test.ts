import { describe, expect, test } from 'bun:test'
import type { OpaModule } from '../../../src/policy/opa/module.ts'
import { type ModuleFacts, modulePolicy, readViolations } from '../../../src/policy/opa/module-policy.ts'

const ULID = '01JFDSXJ0000000000000000GR'
const ID = '0193db9e-c800-0000-0000-000000000218'
const REQUESTER = { ip: '192.0.2.1', userAgent: 'Browser/1' }
const WHO = { ip_address: '192.0.2.1', user_agent: 'Browser/1' }
const NOW = new Date('2026-11-24T12:00:00Z')
const COUNTS = { total: 3, oauth2: 2, compat: 1, personal: 0 }
const ACCOUNT = { user_id: ID, username: 'alice', is_admin: true }
const USER = {
  id: ULID,
  username: 'alice',
  sub: ULID,
  created_at: '2026-11-24T12:00:00.000Z',
  locked_at: null,
  deactivated_at: null,
  can_request_admin: true,
  is_guest: false,
}
const CLIENT = {
  id: ULID,
  client_id: ULID,
  client_name: 'App',
  redirect_uris: ['https://app.test/'],
  grant_types: ['authorization_code'],
  token_endpoint_auth_method: 'none',
}

const row = {
  id: ID,
  auth_method: 'none',
  redirect_uris: ['https://app.test/'],
  grant_types: ['authorization_code'],
  metadata: { client_name: 'App' },
  sealed_secret: 'sealed',
  metadata_digest: 'digest',
}
const facts: ModuleFacts = {
  rules: async () => ({ data: {}, serverName: 'example.test', sessionLimit: undefined }),
  document: async () => ({ server_name: 'example.test' }),
  countSessions: async () => COUNTS,
  user: async (id) =>
    id === ID ? { ...ACCOUNT, id, created_at: NOW, locked_at: null, deactivated_at: null } : undefined,
  client: async () => row,
}

/** A policy, and what its module is asked. */
function recorded(answer: unknown = [{ result: [] }]) {
  const asked: [string, unknown, unknown][] = []
  const module: OpaModule = {
    evaluate: async (entrypoint, input, data) => {
      // What crosses to the process is JSON.
      asked.push([entrypoint, JSON.parse(JSON.stringify(input)), data])
      return answer
    },
    check: async () => {},
    stop() {},
  }
  const entrypoints = {
    register: 'r/v',
    email: 'e/v',
    clientRegistration: 'c/v',
    grant: 'g/v',
    legacyLogin: 'l/v',
  }
  return { policy: modulePolicy(facts, module, entrypoints), asked }
}

describe('what a module is told (reference operations 6.2, the names of MAS)', () => {
  test('register', async () => {
    const { policy, asked } = recorded()
    await policy.register({ username: 'alice', method: 'password' }, REQUESTER)
    await policy.register(
      { username: 'alice', email: 'a@b.org', method: 'upstream-oauth2' },
      { ip: undefined, userAgent: undefined },
    )
    expect(asked).toEqual([
      [
        'r/v',
        { registration_method: 'password', username: 'alice', requester: WHO },
        { server_name: 'example.test' },
      ],
      [
        'r/v',
        { registration_method: 'upstream-oauth2', username: 'alice', email: 'a@b.org', requester: {} },
        { server_name: 'example.test' },
      ],
    ])
  })

  test('email', async () => {
    const { policy, asked } = recorded()
    await policy.email('a@b.org', REQUESTER)
    expect(asked[0]?.slice(0, 2)).toEqual(['e/v', { email: 'a@b.org', requester: WHO }])
  })

  test('client_registration: the metadata as it was sent', async () => {
    const { policy, asked } = recorded()
    const metadata = { client_name: 'App', redirect_uris: ['https://app.test/'] }
    const client = { ...metadata, grant_types: ['authorization_code'], token_endpoint_auth_method: 'none' }
    await policy.clientRegistration(client, metadata, REQUESTER)
    expect(asked[0]?.slice(0, 2)).toEqual(['c/v', { client_metadata: metadata, requester: WHO }])
  })

  test('authorization_grant: never the secret or the digest of the client (defect 17)', async () => {
    const { policy, asked } = recorded()
    const scope = ['openid', 'urn:matrix:client:api:*']
    await policy.grant({ scope, clientId: ID, user: ACCOUNT, grantType: 'authorization_code' }, REQUESTER)
    await policy.grant({ scope: [], clientId: ID, grantType: 'client_credentials' }, REQUESTER)
    await policy.grant({ scope, user: ACCOUNT, grantType: 'authorization_code' }, REQUESTER)
    const common = {
      user: USER,
      session_counts: COUNTS,
      client: CLIENT,
      scope: 'openid urn:matrix:client:api:*',
      grant_type: 'authorization_code',
      requester: WHO,
    }
    expect(asked.map(([, input]) => input)).toEqual([
      common,
      { ...common, user: null, session_counts: null, scope: '', grant_type: 'client_credentials' },
      { ...common, client: null },
    ])
    expect(JSON.stringify(asked)).not.toMatch(/sealed|digest/)
  })

  test('compat_login', async () => {
    const { policy, asked } = recorded()
    const login = { type: 'm.login.sso', redirect_uri: 'https://app.test/' } as const
    await policy.legacyLogin({ user: ACCOUNT, login, sessionReplaced: true }, REQUESTER)
    expect(asked[0]?.slice(0, 2)).toEqual([
      'l/v',
      { user: USER, session_counts: COUNTS, session_replaced: true, login, requester: WHO },
    ])
  })
})

describe('what no module can allow', () => {
  test('a name that is no Matrix name, a redirect that a page could run, scopes that exclude each other', async () => {
    const { policy, asked } = recorded()
    const client = {
      redirect_uris: ['javascript:alert(1)'],
      grant_types: [],
      token_endpoint_auth_method: 'none',
    }
    const scope = ['urn:matrix:client:device:AAAAAAAAAA']
    expect([
      await policy.register({ username: 'Ä', method: 'password' }, REQUESTER),
      await policy.register({ username: 'a'.repeat(256), method: 'password' }, REQUESTER),
      await policy.clientRegistration(client, client, REQUESTER),
      await policy.grant({ scope, user: ACCOUNT, grantType: 'authorization_code' }, REQUESTER),
    ]).toMatchObject([
      [{ code: 'username-invalid-chars' }],
      [{ code: 'username-too-long' }],
      [{ redirect_uri: 'javascript:alert(1)' }],
      [{ code: 'scope-combination' }],
    ])
    expect(asked).toEqual([])
  })

  test('an account that is not there', async () => {
    const { policy, asked } = recorded()
    const nobody = { user_id: '00000000-0000-0000-0000-000000000000', username: 'x', is_admin: false }
    await expect(
      policy.legacyLogin(
        { user: nobody, login: { type: 'm.login.token' }, sessionReplaced: false },
        REQUESTER,
      ),
    ).rejects.toThrow('does not exist')
    expect(asked).toEqual([])
  })
})

describe('what a module answers', () => {
  test.each<[unknown, unknown]>([
    [[{ result: [] }], []],
    [
      [{ result: [{ msg: 'no', code: 'too-many-sessions', need_to_remove: 2, field: 'x', other: 1 }] }],
      [{ msg: 'no', code: 'too-many-sessions', need_to_remove: 2, field: 'x' }],
    ],
    [[{ result: [{ msg: 'no', code: 7 }] }], [{ msg: 'no' }]],
  ])('%j: %j', (answer, violations) => {
    expect(readViolations('x/y', answer)).toEqual(violations as never)
  })

  test.each<[unknown]>([
    [undefined],
    [null],
    [true],
    [{}],
    // Undefined in Rego: no result at all.
    [[]],
    [[{}]],
    [[{ result: true }]],
    [[{ result: {} }]],
    [[{ result: ['no'] }]],
    [[{ result: [{ code: 'x' }] }]],
    [[{ result: [{ msg: 7 }] }]],
    [[{ result: [] }, { result: [] }]],
  ])('%j is no answer, and so no permission', (answer) => {
    expect(() => readViolations('x/y', answer)).toThrow('policy.wasm_module: x/y is not a set of violations.')
  })
})
