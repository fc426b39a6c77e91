import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { checkDirectory } from '../../src/commands/doctor/ldap.ts'
import type { Site } from '../../src/commands/doctor/site.ts'
import { isDirectoryAccount } from '../../src/identity/directory.ts'
import { checkPassword } from '../../src/identity/sign-in.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { testConfig } from '../support/config.ts'
import { company, DIRECTORY_PASSWORD, directoryHarness, ldapConfig } from '../support/directory.ts'
import type { Harness } from '../support/harness.ts'
import { hasSlapd, type Slapd, startSlapd } from '../support/slapd.ts'
import { latchkey, newFolder } from './support.ts'

// Each test starts processes.
setDefaultTimeout(60_000)

const there = hasSlapd()
let slapd: Slapd
let harness: Harness
let folder: Awaited<ReturnType<typeof newFolder>>
beforeAll(async () => {
  if (!there) return
  slapd = await startSlapd(company())
  harness = await directoryHarness(slapd)
  folder = await newFolder()
  await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })
})
afterAll(async () => {
  await folder?.remove()
  await harness?.close()
  await slapd?.close()
})

const run = (args: string[], stdin: string, ldap: Parameters<typeof ldapConfig>[1] = {}) =>
  latchkey(args, {
    cwd: folder.path,
    stdin,
    env: {
      LATCHKEY_DATABASE__URI: harness.database.uri,
      LATCHKEY_MATRIX__HOMESERVER: 'example.test',
      LATCHKEY_LDAP: JSON.stringify(ldapConfig(slapd, ldap)),
    },
  })

describe.skipIf(!there)('latchkey ldap try', () => {
  test('prints what the entry says and what the templates make of it, and changes nothing', async () => {
    const expression = { allow_if: "'crew' in user.groups", admin_if: "'admirals' in user.groups" }
    const { code, out, err } = await run(
      ['ldap', 'try', '@anna:example.test'],
      `${DIRECTORY_PASSWORD}\n`,
      expression,
    )
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('The password is right. uid=anna,ou=people,dc=example,dc=test\n')
    expect(out).toContain('  user.displayName: Anna Harbour\n')
    expect(out).toContain('  user.mail: anna@harbour.example | a.harbour@harbour.example\n')
    expect(out).toMatch(
      /^localpart: anna\ndisplayname: Anna Harbour\nemail: anna@harbour.example\nallow_if: true\nadmin_if: false$/m,
    )
    expect(out).not.toContain(DIRECTORY_PASSWORD)
    expect(await findUserByName(harness.deps.sql, 'anna', 'anna')).toHaveLength(0)
  })

  test('ends with 1, and the reason, when the person would not get in', async () => {
    const turned = await run(['ldap', 'try', 'clara', '--json'], DIRECTORY_PASSWORD, {
      allow_if: "'crew' in user.groups",
    })
    expect([turned.code, JSON.parse(turned.out).allow_if]).toEqual([1, false])
    expect(turned.err).toContain('allow_if turns this person away.')
    const wrong = await run(['ldap', 'try', 'clara'], 'wrong')
    expect([wrong.code, wrong.err]).toEqual([1, 'The directory says no (wrong): 49.\n'])
    const away = await run(['ldap', 'try', 'clara'], 'wrong', { urls: ['ldaps://127.0.0.1:9'] })
    expect(away.code).toBe(1)
    expect(away.err).toMatch(/^The directory cannot be asked: ldaps:\/\/127\.0\.0\.1:9: .*\.\n$/)
  })
})

test.skipIf(!there)('latchkey ldap unlink: the account can have a password of its own then', async () => {
  const requester = { ip: undefined, userAgent: undefined }
  await checkPassword(harness.deps, { username: 'anna', password: DIRECTORY_PASSWORD }, requester)
  const [anna] = await findUserByName(harness.deps.sql, 'anna', 'anna')
  expect(await isDirectoryAccount(harness.deps, anna?.id ?? '')).toBe(true)
  const refused = await run(['manage', 'set-password', 'anna'], 'a very long passphrase indeed')
  expect([refused.code, refused.err.includes('latchkey ldap unlink anna')]).toEqual([1, true])
  expect((await run(['ldap', 'unlink', 'anna'], '')).code).toBe(0)
  expect(await isDirectoryAccount(harness.deps, anna?.id ?? '')).toBe(false)
  expect((await run(['ldap', 'unlink', 'anna'], '')).code).toBe(1)
  expect((await run(['manage', 'set-password', 'anna'], 'a very long passphrase indeed')).code).toBe(0)
})

test.skipIf(!there)(
  'doctor: each address is tried; what does not work is named, and templates that cannot be read',
  async () => {
    const look = async (more: Parameters<typeof ldapConfig>[1]) => {
      const config = await testConfig({ ldap: ldapConfig(slapd, more) })
      return checkDirectory({ config, clock: systemClock } as Site)
    }
    const good = await look({ urls: [slapd.secure] })
    expect(good.map(({ check, subject, verdict }) => [check, subject, verdict])).toEqual([
      ['ldap', slapd.secure, 'ok'],
    ])
    const bad = await look({
      urls: ['ldaps://127.0.0.1:9', slapd.secure],
      bind_password: 'wrong',
      allow_if: 'user.',
    })
    expect(bad.map(({ verdict, reason }) => [verdict, reason.split(':')[0]])).toEqual([
      ['failed', 'The directory cannot be reached'],
      ['failed', 'The directory answers, but not to what we ask'],
      ['failed', 'ldap.allow_if cannot be read and never holds'],
    ])
  },
)
