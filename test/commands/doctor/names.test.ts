import { describe, expect, test } from 'bun:test'
import { checkAddress, checkNames } from '../../../src/commands/doctor/names.ts'
import type { Reach } from '../../../src/commands/doctor/reach.ts'
import { createSite, type Site } from '../../../src/commands/doctor/site.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { testConfig } from '../../support/config.ts'

/** A deployment at `https://auth.example.org/` whose names all exist, but for what `reach` changes. */
async function siteOf(reach: Partial<Reach> = {}, public_base = 'https://auth.example.org/'): Promise<Site> {
  const config = await testConfig({ http: { public_base }, matrix: { homeserver: 'example.org' } })
  const parts: Reach = {
    send: () => Promise.reject(Object.assign(new Error('no'), { code: 'ECONNREFUSED' })),
    addresses: async () => ['192.0.2.7'],
    certificate: async () => ({ validTo: new Date(Date.now() + 60 * 86_400_000), problem: undefined }),
    detour: () => undefined,
    ...reach,
  }
  return createSite(
    { config, reach: parts, clock: systemClock, random: systemRandom, running: true },
    new URL('https://matrix.example.org/'),
  )
}
const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }))

describe('latchkey doctor: names (DNS and TLS)', () => {
  test('each name has an address and a certificate: all in order', async () => {
    const findings = await checkNames(await siteOf())
    expect(findings.map(({ check, subject, verdict }) => `${check} ${subject} ${verdict}`)).toEqual([
      'dns example.org ok',
      'tls example.org ok',
      'dns matrix.example.org ok',
      'tls matrix.example.org ok',
      'dns auth.example.org ok',
      'tls auth.example.org ok',
    ])
  })

  test('a name without an address: the record to add, and no word about its certificate', async () => {
    const addresses = async (host: string) =>
      host === 'auth.example.org' ? failing('ENOTFOUND')() : ['192.0.2.7']
    const findings = await checkNames(await siteOf({ addresses }))
    const own = findings.filter(({ subject }) => subject === 'auth.example.org')
    expect(own.map(({ check, verdict }) => `${check} ${verdict}`)).toEqual(['dns failed', 'tls skipped'])
    expect(own[0]?.reason).toContain('auth.example.org has no address')
    expect(own[0]?.paste).toEqual({ into: 'DNS', lines: ['auth.example.org. 3600 IN A 192.0.2.1'] })
  })

  test('nobody listens, or without TLS: which port to open', async () => {
    const findings = await checkNames(await siteOf({ certificate: failing('ECONNREFUSED') }))
    const tls = findings.filter(({ check }) => check === 'tls')
    expect(tls.map(({ verdict }) => verdict)).toEqual(['failed', 'failed', 'failed'])
    expect(tls[2]?.mend).toContain('port 443, with a certificate for auth.example.org')
  })

  test.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'a public authority'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'the whole chain'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'names auth.example.org'],
  ])('a certificate that is not believed (%s): what to get', async (problem, mend) => {
    const validTo = new Date(Date.now() + 60 * 86_400_000)
    const findings = await checkNames(await siteOf({ certificate: async () => ({ validTo, problem }) }))
    const own = findings.find(({ check, subject }) => check === 'tls' && subject === 'auth.example.org')
    expect([own?.verdict, own?.mend]).toEqual(['failed', expect.stringContaining(mend)])
  })
})

test.each([
  ['https://auth.example.org/', 'ok', undefined],
  ['http://localhost:8080/', 'warning', undefined],
  ['http://auth.example.org/', 'failed', '  public_base: https://auth.example.org/'],
])('latchkey doctor: people sign in at %s: %s', async (base, verdict, line) => {
  const [finding] = await checkAddress(await siteOf({}, base))
  expect([finding?.verdict, finding?.paste?.lines.at(-1)]).toEqual([verdict as 'ok', line])
})
