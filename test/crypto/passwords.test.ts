import { describe, expect, test } from 'bun:test'
import type { PasswordScheme } from '../../src/crypto/password-schemes.ts'
import { createPasswords, PASSWORD_LIMIT } from '../../src/crypto/passwords.ts'
import { Overloaded } from '../../src/lib/overloaded.ts'
import { systemRandom } from '../../src/lib/random.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const scheme = (
  algorithm: PasswordScheme['algorithm'],
  more: Partial<PasswordScheme> = {},
): PasswordScheme => ({
  version: 1,
  algorithm,
  unicode_normalization: false,
  ...more,
})
const passwords = (...schemes: PasswordScheme[]) =>
  createPasswords({ enabled: true, minimum_complexity: 3, schemes })
const cheap = scheme('bcrypt', { cost: 4 })
const OK = { ok: true, upgrade: false } as const
const WRONG = { ok: false } as const

describe('verify: hashes made by other implementations', () => {
  const salted = '$AAECAwQFBgcICQoLDA0ODw$'
  const ours = `$argon2id$v=19$m=19456,t=2,p=1${salted}`
  const bcrypt = '$2b$04$/uaF/uaF/uaF/uaF/uaF/u'
  const pepper = { secret: bytes('pepper') }
  const vectors: [string, PasswordScheme, string, string][] = [
    // The reference implementation's own test (argon2/src/test.c).
    [
      'argon2id, published',
      scheme('argon2id'),
      'password',
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    ],
    // The reference library, through its Python binding.
    ['argon2id', scheme('argon2id'), 'password', `${ours}OZA6NM05OHZDbmcc1pDf6Kuc57E0WafgTsDk8GlN2w0`],
    [
      'argon2id, pepper',
      scheme('argon2id', pepper),
      'password',
      `${ours}zCNuSEsKwkAA1jm0jJrvEPlihe+201qBVqBBQ0Cppzs`,
    ],
    [
      'argon2id, pepper ending in a line break',
      scheme('argon2id', { secret: bytes('pepper\n') }),
      'pässwörd',
      `${ours}7YLyp4nH9VemsaqKb6hY99vc5k0Kr/8TQpkNAPNsfLE`,
    ],
    // Openwall's crypt_blowfish.
    [
      'bcrypt, published',
      scheme('bcrypt'),
      'U*U',
      '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
    ],
    // crypt(3).
    ['bcrypt', scheme('bcrypt'), 'password', `${bcrypt}DoLTv0.GKuyIUIWMpfQvuOZKorP5RFK`],
    ['bcrypt, UTF-8', scheme('bcrypt'), 'pässwörd', `${bcrypt}fdZ4H6P3h1hy4J1lqbldFn/xVrYEp9.`],
    ['bcrypt, pepper', scheme('bcrypt', pepper), 'password', `${bcrypt}YCaCq4CNP4U5oNgObNt201A8YW0qpjO`],
    [
      'bcrypt, 80 bytes read as 72',
      scheme('bcrypt'),
      'a'.repeat(80),
      `${bcrypt}OM8r2SeYNq7/qQJPoLtzMmzLdJtdI6C`,
    ],
    // RFC 7914 section 11.
    [
      'pbkdf2, published',
      scheme('pbkdf2'),
      'passwd',
      '$pbkdf2-sha256$i=1,l=64$c2FsdA$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw',
    ],
    // Python's hashlib.
    [
      'pbkdf2',
      scheme('pbkdf2'),
      'password',
      `$pbkdf2-sha256$i=1000,l=32${salted}JeuGrMduQwGPGLmo+Qwv7UYtHHmeg9SK49fGkEamC2c`,
    ],
    [
      'pbkdf2, pepper',
      scheme('pbkdf2', pepper),
      'password',
      `$pbkdf2-sha256$i=1000,l=32${salted}QTOb6zfNOK9kkBcvDGzhTIhVPOAUX//p2t/eucnRObM`,
    ],
    [
      'pbkdf2, 600,000 rounds',
      scheme('pbkdf2'),
      'correct horse',
      `$pbkdf2-sha256$i=600000,l=32${salted}lqWQTC4IyNpCMF28xdfPGOrSY21J9ZUmtgbyZpYoFHM`,
    ],
    [
      'pbkdf2, SHA-512',
      scheme('pbkdf2'),
      'password',
      `$pbkdf2-sha512$i=1000,l=64${salted}x05AgND7tB/uWGjA/2D9dayuJjghWYfl/1T46uIRM5ta0a9uOHvBLdOnC7blqQEIFBxfCONToumEQ5pDM8Qtbg`,
    ],
  ]
  test.each(vectors)('%s', async (_name, given, password, hash) => {
    const { verify } = passwords(given)
    expect((await verify(password, { version: 1, hash })).ok).toBe(true)
    expect(await verify(`x${password}`, { version: 1, hash })).toEqual(WRONG)
  })

  test('another pepper, or none, and the same password is wrong', async () => {
    const hash = `${ours}zCNuSEsKwkAA1jm0jJrvEPlihe+201qBVqBBQ0Cppzs`
    expect(await passwords(scheme('argon2id')).verify('password', { version: 1, hash })).toEqual(WRONG)
    const other = scheme('argon2id', { secret: bytes('Pepper') })
    expect(await passwords(other).verify('password', { version: 1, hash })).toEqual(WRONG)
  })
})

describe('hash', () => {
  test('argon2id: m=19456, t=2, p=1, version 19, as MAS makes them', async () => {
    const { hash, verify } = passwords(scheme('argon2id', { version: 7, secret: bytes('pepper') }))
    const stored = await hash('pässwörd')
    expect(stored.version).toBe(7)
    expect(stored.hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(await verify('pässwörd', stored)).toEqual(OK)
    expect(await verify('passwörd', stored)).toEqual(WRONG)
  })

  test('bcrypt: cost 12 unless configured', async () => {
    expect((await passwords(scheme('bcrypt')).hash('password')).hash).toMatch(/^\$2b\$12\$[\w./]{53}$/)
    expect((await passwords(cheap).hash('password')).hash).toMatch(/^\$2b\$04\$/)
  })

  test('pbkdf2: SHA-256, 600,000 rounds, a PHC string that another implementation agrees with', async () => {
    const { hash } = await passwords(scheme('pbkdf2')).hash('password')
    const [, , parameters, salt = '', key = ''] = hash.split('$')
    expect(parameters).toBe('i=600000,l=32')
    const { pbkdf2Sync } = await import('node:crypto')
    const expected = pbkdf2Sync('password', Buffer.from(salt, 'base64'), 600_000, 32, 'sha256')
    expect(Buffer.from(key, 'base64').equals(expected)).toBe(true)
  })

  test('a NUL is a byte like any other: what follows it, and the pepper, count', async () => {
    const { hash, verify } = passwords({ ...cheap, secret: bytes('pepper') })
    const stored = await hash('a\0b')
    expect(await verify('a\0b', stored)).toEqual(OK)
    expect(await verify('a\0c', stored)).toEqual(WRONG)
    expect(await verify('a', stored)).toEqual(WRONG)
    expect(await passwords(cheap).verify('a\0b', stored)).toEqual(WRONG)
  })

  test('salts come from the given source of randomness, 16 bytes each', async () => {
    const asked: number[] = []
    const random = {
      bytes(length: number) {
        asked.push(length)
        return new Uint8Array(length)
      },
    }
    for (const algorithm of ['argon2id', 'bcrypt', 'pbkdf2'] as const) {
      const config = { enabled: true, minimum_complexity: 3, schemes: [scheme(algorithm, { cost: 4 })] }
      const { hash } = createPasswords(config, random)
      expect(await hash('password')).toEqual(await hash('password'))
    }
    expect(asked).toEqual([16, 16, 16, 16, 16, 16])
  })

  test('over 1,024 characters is a RangeError, and wrong on verification', async () => {
    const { hash, verify } = passwords(cheap)
    const stored = await hash('x'.repeat(PASSWORD_LIMIT))
    await expect(hash('x'.repeat(PASSWORD_LIMIT + 1))).rejects.toThrow(RangeError)
    expect(await verify('x'.repeat(PASSWORD_LIMIT + 1), stored)).toEqual(WRONG)
    expect(await verify('x'.repeat(PASSWORD_LIMIT + 1), undefined)).toEqual(WRONG)
  })
})

describe('unicode_normalization', () => {
  test.each(['argon2id', 'bcrypt', 'pbkdf2'] as const)(
    '%s: NFKC forms are one password only when it is on',
    async (algorithm) => {
      for (const unicode_normalization of [true, false]) {
        const { hash, verify } = passwords(scheme(algorithm, { cost: 4, unicode_normalization }))
        const { ok } = await verify('pa\u0308sswo\u0308rd ﬁ', await hash('pässwörd fi'))
        expect(ok).toBe(unicode_normalization)
      }
    },
  )
})

describe('schemes', () => {
  const old = { ...cheap, version: 1 }
  const current = scheme('bcrypt', { version: 2, cost: 5 })

  test('the highest version hashes, whatever the order; older ones verify and ask for an upgrade', async () => {
    const stored = await passwords(old).hash('password')
    const { hash, verify } = passwords(current, old)
    expect(await verify('password', stored)).toEqual({ ok: true, upgrade: true })
    expect(await verify('wrong', stored)).toEqual(WRONG)
    const fresh = await hash('password')
    expect(fresh.version).toBe(2)
    expect(await verify('password', fresh)).toEqual(OK)
    expect((await passwords(old, current).hash('password')).version).toBe(2)
  })

  test('a hash of a lower cost than configured now asks for an upgrade', async () => {
    const stored = await passwords(cheap).hash('password')
    expect(await passwords(scheme('bcrypt', { cost: 5 })).verify('password', stored)).toEqual({
      ok: true,
      upgrade: true,
    })
  })

  test('a hash of a version that is not configured is wrong, and says so', async () => {
    const { hash } = await passwords(cheap).hash('password')
    expect(await passwords(cheap).verify('password', { version: 9, hash })).toEqual({
      ok: false,
      unknownVersion: true,
    })
  })

  test.each(['argon2id', 'bcrypt', 'pbkdf2'] as const)(
    '%s: a damaged or foreign hash is wrong, not an exception',
    async (algorithm) => {
      const { verify } = passwords(scheme(algorithm, { cost: 4 }))
      const hashes = [
        '',
        'password',
        '$argon2id$',
        '$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA',
        '$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
        '$pbkdf2-sha256$i=1,l=32$c2FsdA$AAAA',
        '$pbkdf2-sha256$i=0$c2FsdHNhbHQ$VawEbla2CJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLw',
        '$pbkdf2-sha256$i=99999999$c2FsdHNhbHQ$VawEbla2CJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLw',
        '$pbkdf2-md5$i=1$c2FsdHNhbHQ$VawEbla2CJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLw',
      ]
      for (const hash of hashes) expect(await verify('password', { version: 1, hash })).toEqual(WRONG)
    },
  )

  test('a configuration that cannot work is refused', () => {
    expect(() => passwords()).toThrow(/at least one scheme/)
    expect(() => passwords(cheap, cheap)).toThrow(/version 1 twice/)
    expect(() => passwords(scheme('bcrypt', { cost: 32 }))).toThrow(/from 4 to 31/)
    expect(() => passwords(scheme('bcrypt', { cost: 12.5 }))).toThrow(/from 4 to 31/)
    expect(createPasswords({ enabled: false, minimum_complexity: 3, schemes: [] }).enabled).toBe(false)
  })
})

describe('load', () => {
  const config = { enabled: true, minimum_complexity: 3, schemes: [cheap] }

  test('an unknown user costs a hash: a salt is drawn, and the place in the queue is taken', async () => {
    let salts = 0
    const random = {
      bytes(length: number) {
        salts++
        return systemRandom.bytes(length)
      },
    }
    const { verify } = createPasswords(config, random, { running: 1, waiting: 0 })
    const first = verify('password', undefined)
    await expect(verify('password', undefined)).rejects.toThrow(Overloaded)
    expect(await first).toEqual(WRONG)
    expect(salts).toBe(1)
  })

  test('over the bound of waiting passwords calls are refused, not delayed; the others finish', async () => {
    const { hash } = createPasswords(config, systemRandom, { running: 1, waiting: 2 })
    const results = await Promise.allSettled([1, 2, 3, 4, 5].map(() => hash('password')))
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ])
    expect((await hash('password')).version).toBe(1)
  })
})
