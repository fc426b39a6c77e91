import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import * as keys from '../crypto/fixtures.ts'
import { type Browser, createBrowser } from '../support/browser.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { exchange, obtainCode, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'
import { beginReady, endAll, freeAddress, latchkey, newFolder, type Running } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

/** An operator's keys in the forms that there are, and the secp256k1 key that every configuration of MAS has. */
const DIRECTORY: Record<string, string | Uint8Array> = {
  '1-rsa.pem': keys.encode(keys.RSA, { type: 'pkcs1', format: 'pem' }),
  '2-p256.der': keys.encode(keys.P256, { type: 'sec1', format: 'der' }),
  '3-ed25519.der': keys.encode(keys.ED25519, { type: 'pkcs8', format: 'der' }),
  '4-k256.pem': keys.pem(keys.SECP256K1_PKCS8),
}
const INLINE = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase
let configuration: string

beforeAll(async () => {
  folder = await newFolder()
  address = await freeAddress()
  database = await createTestDatabase()
  await mkdir(join(folder.path, 'keys'))
  for (const [name, key] of Object.entries(DIRECTORY)) await writeFile(join(folder.path, 'keys', name), key)
  const encrypted = keys.encode(keys.P384, { type: 'pkcs8', format: 'pem', encrypted: true })
  await writeFile(join(folder.path, 'p384.pem'), encrypted)
  await writeFile(join(folder.path, 'password'), keys.PASSWORD)
  configuration = [
    'matrix: { kind: standalone, homeserver: example.test, secret: a-secret-of-the-homeserver }',
    `secrets:`,
    `  encryption: "${'ab'.repeat(32)}"`,
    '  keys_dir: keys',
    '  keys:',
    '    - { kid: of-a-file, key_file: p384.pem, password_file: password }',
    `    - { kid: inline, key: ${JSON.stringify(keys.pkcs8(INLINE))} }`,
    'passwords: { enabled: true, schemes: [{ version: 1, algorithm: bcrypt, cost: 4 }] }',
    'account: { password_registration_enabled: true, password_registration_email_required: false }',
    '',
  ].join('\n')
  await writeFile(join(folder.path, 'server.yaml'), configuration)
})
afterAll(async () => {
  await endAll()
  await database.drop()
  await folder.remove()
})

const server = () => ({
  cwd: folder.path,
  env: { ...address.env, LATCHKEY_DATABASE__URI: database.uri },
})
const run = (...args: string[]) => latchkey(['keys', ...args, '-c', 'server.yaml'], server())
const serve = (): Promise<Running> => beginReady(['server', '-c', 'server.yaml', '--no-worker'], server())
const stop = async (process: Running): Promise<void> => {
  process.kill('SIGTERM')
  await process.ended
}

const request = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(new URL(path, address.url), { redirect: 'manual', ...init })
const over = {
  request,
  form: (path: string, fields: Record<string, string>) =>
    request(path, { method: 'POST', body: new URLSearchParams(fields) }),
}
const browse = (): Browser =>
  createBrowser((one) => fetch(one, { redirect: 'manual' }), { origin: new URL(address.url).origin })

const published = async (): Promise<string[]> => {
  const { keys: list } = (await (await request('/oauth2/keys.json')).json()) as { keys: { kid: string }[] }
  return list.map(({ kid }) => kid)
}
const signerOf = (idToken: string): string => decodeProtectedHeader(idToken).kid ?? ''
/** Whether somebody who fetches the key set now believes a token. */
const verifies = (idToken: string): Promise<boolean> =>
  jwtVerify(idToken, createRemoteJWKSet(new URL('/oauth2/keys.json', address.url)), {
    issuer: address.url,
  }).then(
    () => true,
    () => false,
  )

let browser: Browser
const clients = new Map<string, string>()
/** An ID token for a client that registered this algorithm. */
async function idToken(alg: string): Promise<string> {
  const id =
    clients.get(alg) ??
    (await registerClient(over, { ...WEB_CLIENT, id_token_signed_response_alg: alg })).client_id
  clients.set(alg, id)
  return (await exchange(over, id, await obtainCode(browser, id, { scope: 'openid' }))).id_token ?? ''
}

describe('signing keys in the forms that there are, and latchkey keys', () => {
  const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']
  let before: string[] = []
  let old: string[] = []
  let made: string[] = []
  /** By a key that was made. */
  let signed = ''

  test('PKCS#1, SEC1, PKCS#8, encrypted, PEM and DER, inline, of a file, of a directory: each signs what verifies', async () => {
    const process = await serve()
    browser = browse()
    await signUp(browser, 'alice')
    before = await published()
    // Four of the directory but for the one that nobody can use, then the others.
    expect(before).toHaveLength(5)
    expect(before.slice(3)).toEqual(['of-a-file', 'inline'])
    old = []
    for (const alg of ALGORITHMS) old.push(await idToken(alg))
    expect(await Promise.all(old.map(verifies))).toEqual(ALGORITHMS.map(() => true))
    // The last one that is loaded signs (reference 13).
    expect(old.map(signerOf)).toEqual(['inline', 'inline', before[1], 'of-a-file', before[2]] as string[])
    await stop(process)
    expect(process.said()).toMatch(/Signing key 4 is of type secp256k1/)
    expect(process.said()).not.toMatch(/PRIVATE KEY|hunter2/)
  })

  test('list: where each key comes from, and no private part', async () => {
    const listed = await run('list')
    expect([listed.code, listed.out.trimEnd().split('\n').length]).toEqual([0, 5])
    for (const kid of before) expect(listed.out).toContain(`${kid}  `)
    expect(listed.out).toContain('of-a-file  EC  of the configuration')
  })

  test('rotate: published at once, signs later, and the configuration is not touched (decision 15)', async () => {
    const rotated = await run('rotate')
    expect(rotated.code).toBe(0)
    made = [...rotated.out.matchAll(/^ {2}([\w-]{43})$/gm)].map(([, kid = '']) => kid)
    expect(made).toHaveLength(4)
    const [, from = ''] = /sign from (\S+) on/.exec(rotated.out) ?? []
    const minutes = (Date.parse(from) - Date.now()) / 60_000
    expect(minutes).toBeGreaterThan(5)
    expect(minutes).toBeLessThanOrEqual(11)
    expect(rotated.out + rotated.err).not.toContain('PRIVATE')
    expect(await readFile(join(folder.path, 'server.yaml'), 'utf8')).toBe(configuration)

    const process = await serve()
    expect((await published()).sort()).toEqual([...before, ...made].sort())
    const fresh = await idToken('ES384')
    expect([signerOf(fresh), await verifies(fresh)]).toEqual(['of-a-file', true])
    await stop(process)
  })

  test('once they sign, what the old keys signed still verifies, by jose and by this server', async () => {
    await database.sql`update latchkey.signing_keys set signs_from = now() - interval '1 minute'`
    const process = await serve()
    for (const alg of ALGORITHMS) {
      const fresh = await idToken(alg)
      if (alg === 'ES384') signed = fresh
      expect([alg, made.includes(signerOf(fresh)), await verifies(fresh)]).toEqual([alg, true, true])
    }
    expect(await Promise.all(old.map(verifies))).toEqual(ALGORITHMS.map(() => true))
    const hint = await browser.open(
      `/authorize?${new URLSearchParams({
        client_id: clients.get('ES384') ?? '',
        response_type: 'code',
        redirect_uri: WEB_CLIENT.redirect_uris[0] ?? '',
        scope: 'openid',
        code_challenge: 'a'.repeat(43),
        code_challenge_method: 'S256',
        prompt: 'none',
        id_token_hint: old[3] ?? '',
      })}`,
    )
    expect(hint.url.searchParams.get('error')).not.toBe('invalid_request')
    await stop(process)
  })

  test('remove: gone, and what it signed is believed no more; only keys that rotate made', async () => {
    const kid = signerOf(signed)
    expect(await run('remove', kid)).toMatchObject({
      code: 0,
      out: expect.stringContaining(`Removed ${kid}`),
    })
    for (const none of [kid, 'inline']) {
      const refused = await run('remove', none)
      expect([refused.code, refused.out]).toEqual([1, ''])
      expect(refused.err).toContain(`There is no key ${none} in the database`)
    }
    const process = await serve()
    expect(await published()).not.toContain(kid)
    expect(await verifies(signed)).toBe(false)
    const next = await idToken('ES384')
    expect([signerOf(next), await verifies(next)]).toEqual(['of-a-file', true])
    await stop(process)
  })
})
