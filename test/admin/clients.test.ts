import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { upsertStaticClient } from '../../sql/clients.ts'
import { listStaticClients } from '../../sql/static-clients.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminCaller, adminOf, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, registerClient, signedInApp } from '../support/oauth.ts'

const NOBODY = '01HZX1V2E3Q4R5S6T7V8W9XAYB'
const CONFIGURED = '01890000-0000-7000-8000-000000000001'

let harness: Harness
let api: AdminCall
let admin: { uuid: string }
beforeAll(async () => {
  harness = await createHarness()
  ;({ api, ...admin } = await adminOf(harness))
  await upsertStaticClient(harness.deps.sql, {
    id: CONFIGURED,
    authMethod: 'none',
    sealedSecret: null,
    redirectUris: ['https://configured.example.com/'],
    grantTypes: ['authorization_code'],
    metadata: { client_name: 'Configured' },
    now: harness.clock.now(),
  })
})
afterAll(() => harness.close())

const codeOf = ({ status, body }: { status: number; body: { errors: { code: string }[] } }) => [
  status,
  body.errors[0]?.code,
]

/** What the token endpoint answers to a client that acts for itself. */
const tokenAs = (id: string, secret: string) =>
  harness.form(
    '/oauth2/token',
    { grant_type: 'client_credentials' },
    { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
  )

describe('a client by API', () => {
  const body = {
    client_name: 'Intranet',
    client_uri: 'https://intranet.example.com',
    redirect_uris: ['https://intranet.example.com/callback'],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  }

  test('POST: works with the secret that is shown once; PUT changes members; a new secret takes its place', async () => {
    const made = await api('POST', '/oauth2-clients', body)
    expect(made.status).toBe(201)
    const { id, attributes } = made.body.data
    expect(attributes).toMatchObject({
      origin: 'api',
      is_static: true,
      client_id: id,
      client_uri: 'https://intranet.example.com/',
      token_endpoint_auth_method: 'client_secret_basic',
    })
    const { client_secret: secret } = attributes
    expect((await tokenAs(id, secret)).status).toBe(200)
    expect(JSON.stringify(harness.logged)).not.toContain(secret)
    const got = await api('GET', `/oauth2-clients/${id}`)
    expect('client_secret' in got.body.data.attributes).toBe(false)

    const changed = await api('PUT', `/oauth2-clients/${id}`, { client_name: 'Portal', client_uri: null })
    expect(changed.body.data.attributes).toMatchObject({
      client_name: 'Portal',
      client_uri: null,
      redirect_uris: body.redirect_uris,
      grant_types: body.grant_types,
    })
    expect('client_secret' in changed.body.data.attributes).toBe(false)
    expect((await tokenAs(id, secret)).status).toBe(200)

    const renewed = await api('POST', `/oauth2-clients/${id}/regenerate-secret`)
    expect(renewed.status).toBe(201)
    expect((await tokenAs(id, secret)).status).toBe(401)
    expect((await tokenAs(id, renewed.body.data.attributes.client_secret)).status).toBe(200)

    expect((await api('DELETE', `/oauth2-clients/${id}`)).status).toBe(204)
    expect((await api('GET', `/oauth2-clients/${id}`)).status).toBe(404)
    expect((await tokenAs(id, renewed.body.data.attributes.client_secret)).status).toBe(401)
  })

  test('a public one has no secret; it gets one with a method that needs it', async () => {
    const made = await api('POST', '/oauth2-clients', { ...body, token_endpoint_auth_method: 'none' })
    const { id, attributes } = made.body.data
    expect('client_secret' in attributes).toBe(false)
    expect(codeOf(await api('POST', `/oauth2-clients/${id}/regenerate-secret`))).toEqual([409, 'no_secret'])
    const changed = await api('PUT', `/oauth2-clients/${id}`, {
      token_endpoint_auth_method: 'client_secret_basic',
    })
    expect((await tokenAs(id, changed.body.data.attributes.client_secret)).status).toBe(200)
  })

  test('with an Idempotency-Key asked twice: one client, and the same secret', async () => {
    const token = await personalToken(harness, admin.uuid, ['urn:mas:admin'])
    const post = async () => {
      const response = await harness.request('/api/admin/v1/oauth2-clients', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'idempotency-key': 'once',
        },
        body: JSON.stringify(body),
      })
      return (await response.json()) as { data: { id: string } }
    }
    expect(await post()).toEqual(await post())
  })

  test('no configuration removes it', async () => {
    const { id } = (await api('POST', '/oauth2-clients', body)).body.data
    const listed = await listStaticClients(harness.deps.sql)
    const ids = listed.map((row) => ulidFromUuid(row.id))
    expect(ids).toContain(ulidFromUuid(CONFIGURED))
    expect(ids).not.toContain(id)
  })

  test.each([
    [{ redirect_uris: ['nonsense'] }, 'invalid_body'],
    [{ redirect_uris: ['https://app.example.com/#fragment'] }, 'invalid_client_metadata'],
    [{ redirect_uris: undefined }, 'invalid_client_metadata'],
    [{ token_endpoint_auth_method: 'private_key_jwt' }, 'invalid_client_metadata'],
    [{ token_endpoint_auth_method: 'magic' }, 'invalid_body'],
    [{ client_name: 'a\u202eb' }, 'invalid_client_metadata'],
    [{ backchannel_logout_uri: 'http://app.example.com/' }, 'invalid_client_metadata'],
    [{ secret: 'x' }, 'unknown_member'],
    [{ client_secret: 'x' }, 'unknown_member'],
  ])('%j is refused', async (more, code) => {
    expect(codeOf(await api('POST', '/oauth2-clients', { ...body, ...more }))).toEqual([400, code])
  })

  test('only with a token for everything: people sign in to such a client without being asked', async () => {
    const token = await personalToken(harness, admin.uuid, ['urn:latchkey:admin:clients'])
    const clients = adminCaller(harness, token)
    expect(codeOf(await clients('POST', '/oauth2-clients', body))).toEqual([403, 'scope_missing'])
    expect((await clients('GET', '/oauth2-clients')).status).toBe(200)
  })
})

describe('other clients', () => {
  test('of the configuration: read only', async () => {
    const path = `/oauth2-clients/${ulidFromUuid(CONFIGURED)}`
    expect((await api('GET', path)).body.data.attributes.origin).toBe('configuration')
    expect(codeOf(await api('PUT', path, { client_name: 'x' }))).toEqual([409, 'configured_client'])
    expect(codeOf(await api('DELETE', path))).toEqual([409, 'configured_client'])
    expect(codeOf(await api('POST', `${path}/regenerate-secret`))).toEqual([409, 'configured_client'])
  })

  test('that registered themselves: can be deleted, with their tokens and devices', async () => {
    const app = await signedInApp(harness, 'alice')
    const path = `/oauth2-clients/${app.clientId}`
    expect((await api('GET', path)).body.data.attributes.origin).toBe('registration')
    expect(codeOf(await api('PUT', path, { client_name: 'x' }))).toEqual([409, 'registered_client'])
    expect((await api('DELETE', path)).status).toBe(204)
    expect(await introspect(harness, app.tokens.access_token)).toEqual({ active: false })
    await harness.runJobs()
    expect(harness.homeserver.users.get('alice')?.devices.size).toBe(0)
    expect((await registerClient(harness)).client_id).not.toBe(app.clientId)
  })

  test('that nobody has', async () => {
    for (const [method, path, sent] of [
      ['PUT', `/oauth2-clients/${NOBODY}`, {}],
      ['DELETE', `/oauth2-clients/${NOBODY}`, undefined],
      ['POST', `/oauth2-clients/${NOBODY}/regenerate-secret`, undefined],
    ] as const)
      expect(codeOf(await api(method, path, sent))).toEqual([404, 'not_found'])
  })
})
