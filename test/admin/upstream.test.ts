import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type AdminAnswer, type AdminCall, adminCaller, makeUser, personalToken } from '../support/admin.ts'
import { PROVIDER, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

let world: UpstreamWorld
let api: AdminCall
let users: AdminCall
beforeAll(async () => {
  world = await upstreamWorld()
  const { uuid } = await makeUser(world.harness, 'boss', { isAdmin: true })
  api = adminCaller(world.harness, await personalToken(world.harness, uuid, ['urn:mas:admin']))
  users = adminCaller(world.harness, await personalToken(world.harness, uuid, ['urn:latchkey:admin:users']))
})
afterAll(() => world.close())

const codeOf = ({ status, body }: AdminAnswer) => [status, body.errors[0]?.code]
const NOBODY = '01J00000000000000000000000'

describe('/upstream-oauth-links', () => {
  test('POST links an identity, which then leads into the account; DELETE unlinks it', async () => {
    const { id } = await makeUser(world.harness, 'alice')
    const wanted = {
      user_id: id,
      provider_id: PROVIDER,
      subject: 'sub-of-alice',
      human_account_name: 'Alice_%',
    }
    const made = await api('POST', '/upstream-oauth-links', wanted)
    expect(made.status).toBe(201)
    expect(made.body.data).toMatchObject({ type: 'upstream-oauth-link', attributes: wanted })
    const { id: linkId } = made.body.data
    expect((await api('GET', `/upstream-oauth-links/${linkId}`)).body.data.attributes).toMatchObject(wanted)
    for (const filter of [
      `user=${id}`,
      `provider=${PROVIDER}`,
      'subject=sub-of-alice',
      'human-account-name=ALICE_%25',
    ]) {
      const [name, value] = filter.split('=')
      const found = await api('GET', `/upstream-oauth-links?filter[${name}]=${value}`)
      expect(found.body.meta.count).toBe(1)
    }
    expect((await api('GET', '/upstream-oauth-links?filter[human-account-name]=x%25')).body.meta.count).toBe(
      0,
    )
    expect(codeOf(await api('POST', '/upstream-oauth-links', wanted))).toEqual([409, 'link_taken'])
    world.fake.claims = { sub: 'sub-of-alice' }
    const browser = world.harness.browser()
    await world.through(browser)
    expect((await browser.open('/account/')).text).toContain('@alice:example.test')
    expect((await api('DELETE', `/upstream-oauth-links/${linkId}`)).status).toBe(204)
    expect(codeOf(await api('DELETE', `/upstream-oauth-links/${linkId}`))).toEqual([404, 'not_found'])
  })

  test('POST adopts an identity that is nobody’s yet: 200, and its name stays', async () => {
    world.fake.claims = { sub: 'came-by' }
    await world.through(world.harness.browser())
    const { id } = await makeUser(world.harness, 'bob')
    const made = await api('POST', '/upstream-oauth-links', {
      user_id: id,
      provider_id: PROVIDER,
      subject: 'came-by',
      human_account_name: 'another',
    })
    expect(made.status).toBe(200)
    expect(made.body.data.attributes).toMatchObject({ user_id: id, human_account_name: null })
  })

  test.each([
    [{ user_id: NOBODY }, 404, 'not_found'],
    [{ provider_id: NOBODY }, 404, 'not_found'],
    [{ subject: '' }, 400, 'invalid_body'],
    [{ more: 1 }, 400, 'unknown_member'],
  ])('POST with %j is refused', async (changed, status, code) => {
    const { id } = await makeUser(world.harness, `for-${Object.keys(changed)[0]?.replace('_', '')}`)
    const body = { user_id: id, provider_id: PROVIDER, subject: 's', ...changed }
    expect(codeOf(await api('POST', '/upstream-oauth-links', body))).toEqual([status, code])
  })

  test('who may administer users gets into no admin’s account', async () => {
    const { id } = await makeUser(world.harness, 'captain', { isAdmin: true })
    const body = { user_id: id, provider_id: PROVIDER, subject: 'attacker' }
    expect(codeOf(await users('POST', '/upstream-oauth-links', body))).toEqual([403, 'admin_account'])
    const { body: made } = await api('POST', '/upstream-oauth-links', { ...body, subject: 'captain' })
    expect(codeOf(await users('DELETE', `/upstream-oauth-links/${made.data.id}`))).toEqual([
      403,
      'admin_account',
    ])
  })
})

describe('/upstream-oauth-providers', () => {
  test('GET lists and gets them, without a secret', async () => {
    const list = await api('GET', '/upstream-oauth-providers?filter[enabled]=true')
    expect(list.body.data).toHaveLength(1)
    expect(list.body.data[0]).toMatchObject({
      type: 'upstream-oauth-provider',
      id: PROVIDER,
      attributes: { issuer: world.fake.issuer, human_name: 'Harbour', brand_name: null, disabled_at: null },
    })
    expect((await api('GET', '/upstream-oauth-providers?filter[enabled]=false')).body.meta.count).toBe(0)
    expect((await api('GET', `/upstream-oauth-providers/${PROVIDER}`)).body.data.id).toBe(PROVIDER)
    expect(codeOf(await api('GET', `/upstream-oauth-providers/${NOBODY}`))).toEqual([404, 'not_found'])
  })
})

test('POST /upstream-oauth-links: the identity of who signed up with it stays theirs', async () => {
  world.fake.claims = { sub: 'own', preferred_username: 'own', name: 'Own' }
  const browser = world.harness.browser()
  await signUpThere(await world.through(browser), { username: 'own', import_display_name: 'on' })
  const { id } = await makeUser(world.harness, 'thief')
  const body = { user_id: id, provider_id: PROVIDER, subject: 'own' }
  expect(codeOf(await api('POST', '/upstream-oauth-links', body))).toEqual([409, 'link_taken'])
})
