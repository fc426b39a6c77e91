import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { createDirectory, type Directory } from '../../src/ldap/directory.ts'
import { DirectoryError } from '../../src/ldap/directory-error.ts'
import { selfSigned } from '../support/certificate.ts'
import { testClock } from '../support/clock.ts'
import { testConfig } from '../support/config.ts'
import { company, DIRECTORY_PASSWORD, GROUPS, ldapConfig, PEOPLE, person } from '../support/directory.ts'
import { type ScriptedDirectory, startScriptedDirectory } from '../support/scripted-directory.ts'
import { hasSlapd, type Slapd, SUFFIX, startSlapd } from '../support/slapd.ts'

const there = hasSlapd()
/** Names that mean something in a filter, or in a distinguished name, and are people all the same. */
const ODD = ['a*b', 'o(c)', 'back\\slash', 'com,ma', '#first', 'plus+equals=']

/** The entry of a name that its own name does not hold. */
const under = (cn: string, uid: string): string =>
  person(uid)
    .replace(/^dn: .*$/m, `dn: cn=${cn},${PEOPLE}`)
    .replace(/^cn: .*$/m, `cn: ${cn}`)

let slapd: Slapd
beforeAll(async () => {
  if (!there) return
  const odd = ODD.map((uid, index) => under(`odd${index}`, uid))
  slapd = await startSlapd(company(...odd, under('one', 'twin'), under('two', 'twin')))
})
afterAll(() => slapd?.close())

type Ldap = Parameters<typeof ldapConfig>[1]

const clock = testClock()
const created = async (section: Ldap): Promise<Directory> => {
  const { ldap } = await testConfig({ ldap: section })
  if (!ldap) throw new Error('the section is there')
  return createDirectory(ldap, { clock, log: { info() {}, warn() {} } })
}
const directoryOf = (more: Ldap = {}): Promise<Directory> => created(ldapConfig(slapd, more))
const ask = async (name: string, password = DIRECTORY_PASSWORD, more: Ldap = {}) =>
  (await directoryOf(more)).authenticate({ name }, password)
/** Why the directory could not be asked. */
const problem = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => undefined,
    (error: unknown) => (error instanceof DirectoryError ? error.problem : error),
  )
/** The entry is not looked up. */
const direct = (user_dn: string) => ({
  search: undefined,
  bind_dn: undefined,
  bind_password: undefined,
  groups: undefined,
  user_dn,
})

describe.skipIf(!there)('a directory', () => {
  test('the entry of a person, with all its values and the groups that name it', async () => {
    const answer = await ask('anna')
    if (answer.result !== 'ok') throw new Error('anna is there')
    const { entry } = answer
    expect(entry.dn).toBe(`uid=anna,${PEOPLE}`)
    expect(entry.id).toMatch(/^[0-9a-f-]{36}$/)
    expect(entry.attributes.mail).toEqual(['anna@harbour.example', 'a.harbour@harbour.example'])
    expect(entry.names.displayname).toBe('displayName')
    expect(entry.groups.sort()).toEqual(['captains', 'crew'])
    expect(JSON.stringify(entry)).not.toContain(DIRECTORY_PASSWORD)
  })

  test.each(ODD)('the name %s is itself', async (name) => {
    expect((await ask(name)).result).toBe('ok')
  })

  test.each([
    '*',
    'ann*',
    'anna)(uid=*',
    '*)(|(objectClass=*',
    'anna)(&',
    '\\61nna',
    'anna\0',
    '\0',
    '',
    ' ',
    'x'.repeat(257),
  ])('the name %j is nobody’s (RFC 4515 section 3)', async (name) => {
    expect(await ask(name)).toMatchObject({ result: 'refused', reason: 'wrong' })
  })

  test('a user name makes no other entry of user_dn (RFC 4514 section 2.4)', async () => {
    const more = direct(`uid={{ username }},${PEOPLE}`)
    expect((await ask('anna', DIRECTORY_PASSWORD, more)).result).toBe('ok')
    for (const name of [
      `anna,${PEOPLE}`,
      'anna+cn=anna',
      'EXTERNAL',
      '#616e6e61',
      'anna\0',
      'an\u00adna',
      'an na',
      '',
    ]) {
      const { result } = await ask(name, DIRECTORY_PASSWORD, more)
      expect([name, result]).toEqual([name, 'refused'])
    }
    expect((await ask('EXTERNAL', DIRECTORY_PASSWORD, direct('{{ username }}'))).result).toBe('refused')
  })

  test.each(['', '\0', `${DIRECTORY_PASSWORD}\0`])(
    'the password %j never gets there (RFC 4513 section 5.1.2)',
    async (password) => {
      expect((await ask('anna', password)).result).toBe('refused')
      const more = direct(`uid={{ username }},${PEOPLE}`)
      expect((await ask('anna', password, more)).result).toBe('refused')
    },
  )

  test('a name that fits two entries is nobody’s, with the right password of both', async () => {
    expect(await ask('twin')).toMatchObject({ result: 'refused', reason: 'ambiguous' })
  })

  test('an entry is found by its id when nobody has the name', async () => {
    const first = await ask('anna')
    const known = first.result === 'ok' ? first.entry : { id: '', dn: '' }
    const directory = await directoryOf()
    const again = await directory.authenticate({ name: 'not-anna', known }, DIRECTORY_PASSWORD)
    expect(again).toMatchObject({ result: 'ok', entry: { id: known.id } })
  })

  test('groups are those that the filter finds, by the attribute that is their name, and below its base', async () => {
    await slapd.modify(
      `dn: cn=captains,${GROUPS}\nchangetype: modify\nadd: description\ndescription: bridge of anna`,
    )
    const groupsOf = async (groups: NonNullable<Ldap>['groups']) => {
      const answer = await ask('anna', DIRECTORY_PASSWORD, { groups })
      return answer.result === 'ok' && answer.entry.groups.sort()
    }
    const base = GROUPS
    expect(await groupsOf({ base, filter: '(&(member={{ dn }})(!(cn=captains)))' })).toEqual(['crew'])
    const byName = { base, filter: '(description=bridge of {{ user.uid }})', attribute: 'description' }
    expect(await groupsOf(byName)).toEqual(['bridge of anna'])
    // An attribute that the person lacks finds no group, and not all of them.
    expect(await groupsOf({ base, filter: '(cn={{ user.title }}*)' })).toEqual([])
    expect(await groupsOf({ base, filter: '(member={{ dn }})', scope: 'base' })).toEqual([])
  })

  test('groups come from memberOf where no search is given', async () => {
    const dn = `cn=Staff\\2c north,ou=groups,${SUFFIX}`
    await slapd.modify(
      `dn: ${dn}\nchangetype: add\nobjectClass: groupOfNames\ncn: Staff, north\nmember: uid=clara,${PEOPLE}`,
    )
    const answer = await ask('clara', DIRECTORY_PASSWORD, { groups: undefined })
    expect(answer).toMatchObject({ result: 'ok', entry: { groups: ['Staff, north'] } })
  })
})

describe.skipIf(!there)('its certificate', () => {
  test('StartTLS encrypts a plain connection', async () => {
    const tls = { ...ldapConfig(slapd).tls, start_tls: true }
    expect((await ask('anna', DIRECTORY_PASSWORD, { urls: [slapd.plain], tls })).result).toBe('ok')
  })

  test.each([false, true])('must not have ended (StartTLS: %p)', async (start_tls) => {
    const old = await startSlapd(company(), -1)
    try {
      const urls = [start_tls ? old.plain : old.secure]
      const tls = { ...ldapConfig(old).tls, start_tls }
      const asked = directoryOf({ urls, tls }).then((one) =>
        one.authenticate({ name: 'anna' }, DIRECTORY_PASSWORD),
      )
      const error = await asked.catch((cause: unknown) => cause)
      expect(error).toBeInstanceOf(DirectoryError)
      expect(error).toMatchObject({ problem: 'away', message: expect.stringMatching(/expired/i) })
    } finally {
      await old.close()
    }
  })

  test.each([false, true])(
    'must be of a known authority and of its name (StartTLS: %p)',
    async (start_tls) => {
      const urls = [start_tls ? slapd.plain : slapd.secure]
      const { ca = '', server_name = '' } = ldapConfig(slapd).tls ?? {}
      const { cert: other } = await selfSigned('directory.test')
      const bad = [
        { server_name },
        { ca: other, server_name },
        { ca, server_name: 'other.test' },
        // The address, which is not in it.
        { ca },
      ]
      for (const tls of bad)
        expect(await problem(ask('anna', DIRECTORY_PASSWORD, { urls, tls: { ...tls, start_tls } }))).toBe(
          'away',
        )
    },
  )
})

describe.skipIf(!there)('what is an outage', () => {
  test('a search that the reader may not make, or a password of its own that is wrong', async () => {
    const wrong: Ldap[] = [
      { bind_password: 'wrong' },
      { search: { base: `ou=nowhere,${SUFFIX}`, filter: '(uid={{ username }})' } },
      { attributes: { id: 'objectGUID' } },
    ]
    for (const more of wrong)
      expect([more, await problem(ask('anna', DIRECTORY_PASSWORD, more))]).toEqual([more, 'misconfigured'])
  })

  test('of several addresses one is enough', async () => {
    const urls = ['ldaps://127.0.0.1:9', slapd.secure]
    expect((await ask('anna', DIRECTORY_PASSWORD, { urls })).result).toBe('ok')
    const checked = await (await directoryOf({ urls })).check()
    expect(checked.map(({ problem: found }) => found?.problem)).toEqual(['away', undefined])
  })

  test('a directory that stops is one, and answers again when it is back', async () => {
    const directory = await directoryOf()
    await slapd.pause()
    expect(await problem(directory.authenticate({ name: 'anna' }, DIRECTORY_PASSWORD))).toBe('away')
    await slapd.resume()
    expect((await directory.authenticate({ name: 'anna' }, DIRECTORY_PASSWORD)).result).toBe('ok')
  })
})

describe('a directory that says what a test wants', () => {
  let scripted: ScriptedDirectory
  afterEach(() => scripted.close())

  async function directory(more: Ldap = {}): Promise<Directory> {
    scripted = await startScriptedDirectory()
    return created({ urls: [scripted.url], user_dn: 'uid={{ username }},dc=test', ...more })
  }
  const bind = (one: Directory) => one.authenticate({ name: 'anna' }, 'right')

  test('result codes: which are a no, and which an outage (RFC 4511 appendix A)', async () => {
    const one = await directory()
    const data = (sub: string) => ({
      code: 49,
      message: `80090308: LdapErr: DSID-0C0903A9, data ${sub}, v1db1`,
    })
    for (const [result, expected] of [
      [{ code: 49 }, 'wrong'],
      [data('52e'), 'wrong'],
      [data('775'), 'wrong'],
      [data('532'), 'expired'],
      [data('773'), 'expired'],
      [data('533'), 'disabled'],
      [data('701'), 'disabled'],
      [{ code: 32 }, 'wrong'],
      [{ code: 53 }, 'wrong'],
      [{ code: 19 }, 'wrong'],
      [{ code: 51 }, 'away'],
      [{ code: 52 }, 'away'],
      [{ code: 13 }, 'misconfigured'],
      [{ code: 10 }, 'misconfigured'],
    ] as const) {
      scripted.result = result
      const said = await bind(one).catch((error: DirectoryError) => ({ reason: error.problem }))
      expect([result, 'reason' in said && said.reason]).toEqual([result, expected])
    }
  })

  test('one that takes the connection and says nothing is away', async () => {
    const one = await directory({ timeout: 1 })
    scripted.result = undefined
    expect(await problem(bind(one))).toBe('away')
  })

  test('after three outages it is left alone for five seconds, then asked again', async () => {
    const one = await directory()
    scripted.result = { code: 52 }
    for (const _ of [1, 2, 3, 4]) expect(await problem(bind(one))).toBe('away')
    expect(scripted.connections).toBe(3)
    scripted.result = { code: 49 }
    expect(await problem(bind(one))).toBe('away')
    expect(scripted.connections).toBe(3)
    clock.advance(5)
    expect(await bind(one)).toMatchObject({ result: 'refused', reason: 'wrong' })
    expect(await bind(one)).toMatchObject({ result: 'refused', reason: 'wrong' })
  })

  test('what comes before the encryption is no answer under it, and no password goes there', async () => {
    const one = await directory({ tls: { start_tls: true } })
    // A whole yes to a bind that was not asked yet, the beginning of one, and none at all to StartTLS.
    scripted.injected = Uint8Array.from([0x30, 12, 0x02, 1, 2, 0x61, 7, 0x0a, 1, 0, 0x04, 0, 0x04, 0])
    expect(await problem(bind(one))).toBe('away')
    scripted.injected = Uint8Array.from([0x30, 80, 0x02, 1])
    expect(await problem(bind(one))).toBe('away')
    scripted.injected = new Uint8Array()
    scripted.result = { code: 2 }
    clock.advance(5)
    expect(await problem(bind(one))).toBe('away')
    expect(scripted.connections).toBe(3)
    expect(scripted.received.toString('latin1')).not.toContain('right')
  })
})
