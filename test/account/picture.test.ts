import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { newInternalToken, readInternalToken } from '../../src/crypto/internal-token.ts'
import { csrfOf, listedSessions } from '../support/account.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, signUp } from '../support/oauth.ts'

const PROFILE = '/account/profile'
const UPLOAD = '/account/profile/picture'
const PNG = Uint8Array.fromBase64(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
)

let harness: Harness
let people = 0
let username: string
let browser: Browser
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())
beforeEach(async () => {
  username = `person${++people}`
  browser = harness.browser()
  await signUp(browser, username)
  await harness.runJobs()
})

const there = () => harness.homeserver.users.get(username)?.avatarUrl
const fileOf = (bytes: Uint8Array<ArrayBuffer>, name = 'me.png', type = 'image/png') =>
  new File([bytes], name, { type })
const upload = async (file?: File, csrf?: string) =>
  browser.upload(UPLOAD, {
    csrf: csrf ?? csrfOf(await browser.open(PROFILE)),
    ...(file && { picture: file }),
  })

describe('POST /account/profile/picture: a picture', () => {
  test('goes to the homeserver in the person’s own name, and the page shows it from our own address', async () => {
    const saved = await upload(fileOf(PNG))
    expect([saved.url.pathname, saved.text.includes('Your picture is saved.')]).toEqual([PROFILE, true])
    const uri = there() ?? ''
    expect(harness.homeserver.media.get(uri)).toEqual({ owner: username, type: 'image/png', bytes: PNG })
    const address = /<img src="([^"]*account\/picture\?v=[^"]+)"/.exec(saved.text)?.[1] ?? ''
    expect(address).not.toBe('')
    const shown = await harness.request(address.replaceAll('&amp;', '&'), {
      headers: { cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    })
    expect(new Uint8Array(await shown.arrayBuffer())).toEqual(PNG)
    expect(shown.headers.get('content-type')).toBe('image/png')
    expect(shown.headers.get('cache-control')).toBe('private, max-age=86400')
    expect(shown.headers.get('content-security-policy')).toContain("default-src 'none'; sandbox")
    expect(shown.headers.get('x-content-type-options')).toBe('nosniff')
    expect(saved.headers.get('content-security-policy')).toContain("img-src 'self';")
  })

  test('is told by its first bytes, not by its name: a page or a drawing with script is none', async () => {
    for (const text of [
      '<!doctype html><script>1</script>',
      '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'GIF8',
    ]) {
      const refused = await upload(fileOf(new TextEncoder().encode(text)))
      expect([refused.status, refused.text.includes('not a picture that we can take')]).toEqual([422, true])
    }
    expect(there()).toBeUndefined()
    const jpeg = Uint8Array.fromHex('ffd8ffe000104a46')
    await upload(fileOf(jpeg, 'me.html', 'text/html'))
    expect(harness.homeserver.media.get(there() ?? '')?.type).toBe('image/jpeg')
  })

  test('too large for us or for the homeserver, or missing: says so, and changes nothing', async () => {
    const sized = (bytes: number) => {
      const file = new Uint8Array(bytes)
      file.set(PNG)
      return fileOf(file)
    }
    const large = await upload(sized(5 * 1024 * 1024 + 1))
    expect([large.status, large.text.includes('at most 5 MB')]).toEqual([422, true])
    const theirs = await upload(sized(5 * 1024 * 1024 - 1))
    expect([theirs.status, theirs.text.includes('does not take this picture')]).toEqual([422, true])
    const none = await upload()
    expect([none.status, none.text.includes('Choose a file first')]).toEqual([422, true])
    expect((await upload(sized(11 * 1024 * 1024))).status).toBe(413)
    expect(there()).toBeUndefined()
  })

  test('a form of another site, a form without a file part, nobody signed in: nothing is uploaded', async () => {
    const before = harness.homeserver.media.size
    expect((await upload(fileOf(PNG), 'A'.repeat(43))).status).toBe(422)
    const csrf = csrfOf(await browser.open(PROFILE))
    expect((await browser.post(UPLOAD, { csrf, picture: 'x' })).status).toBe(400)
    const broken = { method: 'POST', body: 'x', headers: { 'content-type': 'multipart/form-data' } }
    const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await harness.request(UPLOAD, { ...broken, headers: { ...broken.headers, cookie } })
    expect(answer.status).toBe(400)
    const stranger = await harness.browser().upload(UPLOAD, { csrf, picture: fileOf(PNG) })
    expect(stranger.url.pathname).toBe('/login')
    expect(harness.homeserver.media.size).toBe(before)
  })

  test('the homeserver is down: 503, in words', async () => {
    const csrf = csrfOf(await browser.open(PROFILE))
    harness.homeserver.down = true
    const failed = await upload(fileOf(PNG), csrf)
    const picture = await browser.open('/account/picture')
    harness.homeserver.down = false
    expect([failed.status, failed.headers.get('retry-after')]).toEqual([503, '5'])
    expect(picture.status).toBe(404)
  })

  test('at most ten at once: the homeserver keeps each of them', async () => {
    const csrf = csrfOf(await browser.open(PROFILE))
    for (let at = 0; at < 10; at++) expect((await upload(fileOf(PNG), csrf)).status).toBe(200)
    expect((await upload(fileOf(PNG), csrf)).status).toBe(429)
  })
})

test('POST /account/profile/picture/remove: takes the picture away, and its address with it', async () => {
  const saved = await upload(fileOf(PNG))
  const removed = await saved.submit({}, { action: 'picture/remove' })
  expect(removed.text).toContain('Your picture is removed.')
  expect(removed.text).not.toContain('account/picture?')
  expect(there()).toBeUndefined()
  expect((await browser.open('/account/picture')).status).toBe(404)
  expect((await harness.browser().open('/account/picture')).status).toBe(404)
})

for (const kind of ['standalone', 'synapse_read_only'] as const)
  test(`matrix.kind ${kind}: there is no form for a picture, and none is taken`, async () => {
    const other = await createHarness({
      beside: harness,
      config: { matrix: { kind, endpoint: harness.homeserver.endpoint } } as never,
    })
    const visitor = other.browser()
    for (const [name, value] of browser.cookies) visitor.cookies.set(name, value)
    const page = await visitor.open(PROFILE)
    expect(page.text).not.toContain('type="file"')
    const before = harness.homeserver.media.size
    const form = { csrf: csrfOf(page), picture: fileOf(PNG) }
    expect((await visitor.upload(UPLOAD, form)).status).toBe(422)
    expect(harness.homeserver.media.size).toBe(before)
    if (kind === 'synapse_read_only') {
      // Names and keys are the homeserver's too.
      expect(page.text).toContain('cannot be changed on these pages')
      expect(page.text).not.toContain('name="display_name"')
      const keys = await visitor.open('/account/reset-cross-signing')
      expect(keys.text).toContain('New keys cannot be allowed here')
      const forced = await visitor.post('/account/reset-cross-signing', { csrf: csrfOf(page) })
      expect([forced.status, forced.text.includes('change nothing on the homeserver')]).toEqual([422, true])
    }
    await other.close()
  })

describe('the token with which we act for a person', () => {
  const newToken = async () => {
    const [user] = await harness.deps.sql<{ id: string }[]>`
      select id from latchkey.users where username = ${username}`
    return newInternalToken(harness.deps.secrets.internal, user?.id ?? '', harness.clock.now())
  }

  test('POST /oauth2/introspect: has the API scope and no device, for a minute', async () => {
    const token = await newToken()
    const active = await introspect(harness, token)
    expect(active).toMatchObject({ active: true, username, expires_in: 60 })
    expect(active.scope).toBe('urn:matrix:client:api:* urn:matrix:org.matrix.msc2967.client:api:*')
    expect(active).not.toHaveProperty('device_id')
    harness.clock.advance(60)
    expect(await introspect(harness, token)).toEqual({ active: false })
  })

  test('is in no list, and ends with the account', async () => {
    const token = await newToken()
    const sessions = await browser.open('/account/sessions')
    expect(listedSessions(sessions).map(({ current }) => current)).toEqual([true])
    await harness.deps.sql`update latchkey.users set locked_at = now() where username = ${username}`
    expect(await introspect(harness, token)).toEqual({ active: false })
  })

  test('is not to be made by others: another key, another person or a later end is no token', () => {
    const key = new Uint8Array(32).fill(1)
    const now = new Date('2026-01-01T00:00:00Z')
    const token = newInternalToken(key, '01234567-89ab-cdef-0123-456789abcdef', now)
    expect(readInternalToken(key, token, now)?.userId).toBe('01234567-89ab-cdef-0123-456789abcdef')
    expect(readInternalToken(new Uint8Array(32), token, now)).toBeUndefined()
    for (const at of [4, 20, 33, 34, 40, 70]) {
      const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
      expect(readInternalToken(key, changed, now)).toBeUndefined()
    }
    for (const text of ['', 'lit_', `${token}A`, token.toUpperCase()])
      expect(readInternalToken(key, text, now)).toBeUndefined()
  })
})
