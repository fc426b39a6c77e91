import { describe, expect, test } from 'bun:test'
import { dumpConfig } from '../../src/config/dump.ts'
import { directoryFaults } from '../../src/identity/directory-claims.ts'
import { createClaimTemplates } from '../../src/render/claim-templates.ts'
import { problemsOf, withMinimal } from './support.ts'

const SEARCH = { base: 'dc=example', filter: '(uid={{ username }})' }
const GOOD = { urls: ['ldaps://ldap.example.com'], search: SEARCH }

describe('ldap', () => {
  test.each<[string, object, string]>([
    ['an address of the web', { ...GOOD, urls: ['https://x'] }, 'ldap.urls.0'],
    ['an address with a base', { ...GOOD, urls: ['ldaps://x/dc=a'] }, 'ldap.urls.0'],
    ['passwords in the clear', { ...GOOD, urls: ['ldap://ldap.example.com'] }, 'ldap.urls.0'],
    ['StartTLS where there is TLS', { ...GOOD, tls: { start_tls: true } }, 'ldap.tls.start_tls'],
    ['no address', { ...GOOD, urls: [] }, 'ldap.urls'],
    ['no way to an entry', { urls: GOOD.urls }, 'ldap'],
    ['two ways to an entry', { ...GOOD, user_dn: 'uid={{ username }}' }, 'ldap'],
    ['a reader without a password', { ...GOOD, bind_dn: 'cn=a' }, 'ldap.bind_dn'],
    [
      'a filter without the name',
      { ...GOOD, search: { ...SEARCH, filter: '(uid=a)' } },
      'ldap.search.filter',
    ],
    [
      'a filter that is not closed',
      { ...GOOD, search: { ...SEARCH, filter: '(&(uid={{ username }})' } },
      'ldap.search.filter',
    ],
    [
      'two filters',
      { ...GOOD, search: { ...SEARCH, filter: '(uid={{ username }})(a=b)' } },
      'ldap.search.filter',
    ],
    [
      'another placeholder',
      { ...GOOD, search: { ...SEARCH, filter: '(uid={{ username | upper }})' } },
      'ldap.search.filter',
    ],
    [
      'groups by what was typed',
      { ...GOOD, groups: { base: 'dc=a', filter: '(memberUid={{ username }})' } },
      'ldap.groups.filter',
    ],
    ['a key that is not there', { ...GOOD, filter: 'x' }, 'ldap.filter'],
  ])('%s is a mistake', async (_, ldap, path) => {
    expect(await problemsOf(withMinimal(JSON.stringify({ ldap })))).toEqual([expect.stringContaining(path)])
  })

  test('is of no use without passwords', async () => {
    const problems = await problemsOf(
      withMinimal(JSON.stringify({ ldap: GOOD, passwords: { enabled: false } })),
    )
    expect(problems).toEqual([expect.stringContaining('passwords.enabled')])
  })

  test('`on_conflict` where anyone can register is a warning: they would share accounts', async () => {
    const ldap = { ...GOOD, on_conflict: 'add' }
    const warned = async (open: boolean) =>
      (
        await withMinimal(JSON.stringify({ ldap, account: { password_registration_enabled: open } }))
      ).warnings.filter((line) => line.startsWith('ldap.on_conflict'))
    expect([await warned(true), await warned(false)].map(({ length }) => length)).toEqual([1, 0])
  })

  test('reads its files, and the dump masks the password of the reader', async () => {
    const ldap = { ...GOOD, bind_dn: 'cn=a', bind_password_file: '/password', tls: { ca_file: '/ca.pem' } }
    const files = { '/password': 'hushhush\n', '/ca.pem': 'a certificate\n' }
    const { config } = await withMinimal(JSON.stringify({ ldap }), files)
    expect(config.ldap?.bind_password).toBe('hushhush')
    expect(config.ldap?.tls.ca).toBe('a certificate')
    const dump = dumpConfig({ ldap: { ...GOOD, bind_password: 'hushhush' } }, { showSecrets: false })
    expect(dump).not.toContain('hushhush')
  })

  test('docs/ldap.md: each example can be used', async () => {
    const docs = await Bun.file(new URL('../../docs/ldap.md', import.meta.url)).text()
    const examples = [...docs.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text)
    expect(examples.length).toBeGreaterThan(2)
    const files = {
      '/etc/latchkey/ldap-password': 'hushhush',
      '/etc/latchkey/directory-ca.pem': 'a certificate',
    }
    for (const example of examples) {
      const { config, warnings } = await withMinimal(example, files)
      expect(warnings.filter((line) => line.includes('ldap'))).toEqual([])
      expect(directoryFaults(createClaimTemplates(), config)).toEqual([])
    }
  })
})
