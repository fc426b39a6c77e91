import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { insertEmail, insertPassword } from '../../sql/users.ts'
import { createPasswords, PASSWORD_LIMIT } from '../../src/crypto/passwords.ts'
import { createUser, deactivate, lock, setPassword } from '../../src/identity/lifecycle.ts'
import { checkPassword } from '../../src/identity/sign-in.ts'
import { fold } from '../../src/lib/fold.ts'
import { transact } from '../../src/lib/transact.ts'
import { newId } from '../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../support/harness.ts'

const RIGHT = 'correct horse battery staple'
const requester = { ip: '192.0.2.1', userAgent: undefined }
/** The scheme that the deployment had before. */
const old = createPasswords({
  enabled: true,
  minimum_complexity: 0,
  schemes: [{ version: 1, algorithm: 'bcrypt', cost: 4, unicode_normalization: false }],
})

let harness: Harness
beforeAll(async () => {
  harness = await createHarness({
    config: {
      account: { login_with_email_allowed: true },
      passwords: {
        schemes: [
          { version: 1, algorithm: 'bcrypt', cost: 4 },
          { version: 2, algorithm: 'bcrypt', cost: 5 },
        ],
      },
    },
  })
})
afterAll(() => harness.close())

async function person(username: string): Promise<string> {
  const password = await old.hash(RIGHT)
  const user = await transact(harness.deps.sql, (tx) =>
    createUser(harness.deps, tx, { username, displayName: null, password, isAdmin: false }),
  )
  if (!user) throw new Error(`${username} is taken.`)
  return user.id
}

const signIn = async (username: string, password = RIGHT) =>
  (await checkPassword(harness.deps, { username, password }, requester)).result

const stored = (userId: string) =>
  harness.database
    .sql`select version, hash from latchkey.user_passwords where user_id = ${userId} order by id`

describe('checkPassword', () => {
  test('a name is found in any case, as a full Matrix id of this server, and by its address', async () => {
    const id = await person('Alice')
    const { clock, random, sql } = harness.deps
    const email = 'Alice@Example.org'
    await insertEmail(sql, {
      id: newId(clock.now(), random),
      userId: id,
      email,
      folded: fold(email),
      now: clock.now(),
    })
    for (const name of ['Alice', 'aLICE', ' alice ', '@alice:example.test', 'alice@example.ORG'])
      expect(await signIn(name)).toBe('ok')
    for (const name of ['@alice:elsewhere.test', 'alice@elsewhere.org', 'alic', ''])
      expect(await signIn(name)).toBe('wrong')
  })

  test('lock and deactivation are told only to who knows the password (edge 45)', async () => {
    const id = await person('lou')
    await lock(harness.deps, id)
    expect(await signIn('lou')).toBe('locked')
    expect(await signIn('lou', 'guess')).toBe('wrong')
    await deactivate(harness.deps, id, false)
    expect(await signIn('lou')).toBe('wrong')
  })

  test('an account without a password takes none, not even an empty one', async () => {
    await transact(harness.deps.sql, (tx) =>
      createUser(harness.deps, tx, {
        username: 'nopass',
        displayName: null,
        password: undefined,
        isAdmin: false,
      }),
    )
    expect(await signIn('nopass', '')).toBe('wrong')
    expect(await signIn('nopass', RIGHT)).toBe('wrong')
  })

  test('a password over the limit is wrong, though its beginning be right', async () => {
    await person('longwinded')
    expect(await signIn('longwinded', RIGHT.padEnd(PASSWORD_LIMIT + 1, 'x'))).toBe('wrong')
  })

  test('the limit of a name counts all its spellings, so that it does not tell which names exist', async () => {
    const per_account = { burst: 2, per_second: 1 / 60 }
    const limited = await createHarness({
      beside: harness,
      config: { rate_limiting: { login: { per_ip: { burst: 1000, per_second: 100 }, per_account } } },
    })
    const guess = (username: string) =>
      checkPassword(limited.deps, { username, password: 'guess' }, requester).then(
        ({ result }) => result,
        (error: Error) => error.message,
      )
    await person('mallory')
    for (const name of ['mallory', 'nobody-yet'])
      expect([
        await guess(name),
        await guess(` ${name.toUpperCase()}`),
        await guess(name),
        await guess(`@${name}:example.test`),
      ]).toEqual(['wrong', 'wrong', 'rate limited', 'rate limited'])
    await limited.close()
  })

  test('the limit does not tell whose an address is: an address has one of its own, whether an account has it or not', async () => {
    const per_account = { burst: 2, per_second: 1 / 60 }
    const limited = await createHarness({
      beside: harness,
      config: {
        account: { login_with_email_allowed: true },
        rate_limiting: { login: { per_ip: { burst: 1000, per_second: 100 }, per_account } },
      },
    })
    const guess = (username: string) =>
      checkPassword(limited.deps, { username, password: 'guess' }, requester).then(
        ({ result }) => result,
        (error: Error) => error.message,
      )
    const userId = await person('trudy')
    const { clock, random, sql } = harness.deps
    const email = 'secret@example.org'
    await insertEmail(sql, { id: newId(clock.now(), random), userId, email, folded: email, now: clock.now() })
    for (let tries = 0; tries < 3; tries++) await guess('trudy')
    for (const address of ['Secret@example.org', 'nobody@example.org'])
      expect([await guess(address), await guess(address), await guess(address)]).toEqual([
        'wrong',
        'wrong',
        'rate limited',
      ])
    await limited.close()
  })

  test('failures are logged with the address, never with what was typed: people mix up the fields', async () => {
    harness.logged.length = 0
    await signIn('nobody', 'a-secret-guess')
    expect(harness.logged).toMatchObject([{ event: 'login.failed', fields: { ip: '192.0.2.1' } }])
    expect(JSON.stringify(harness.logged)).not.toMatch(/nobody|a-secret-guess/)
  })

  test('a hash of a scheme that is not configured any more is an error in the log', async () => {
    const id = await person('legacy')
    await harness.database.sql`update latchkey.user_passwords set version = 7 where user_id = ${id}`
    harness.logged.length = 0
    expect(await signIn('legacy')).toBe('wrong')
    expect(harness.logged).toContainEqual({
      level: 'error',
      event: 'login.scheme_missing',
      fields: { user_id: id, version: 7 },
    })
  })
})

describe('an older scheme', () => {
  test('is replaced by the current one at the first right password, and only then', async () => {
    const id = await person('upgrade')
    await signIn('upgrade', 'guess')
    expect((await stored(id)).map((row) => row.version)).toEqual([1])
    expect(await signIn('upgrade')).toBe('ok')
    const [after, ...others] = await stored(id)
    expect(after?.version).toBe(2)
    expect(others).toEqual([])
    expect(await signIn('upgrade')).toBe('ok')
    expect((await stored(id)).map((row) => row.hash)).toEqual([after?.hash])
  })

  test('a password that is changed while the old one is hashed anew stays changed', async () => {
    const id = await person('raced')
    const { passwords } = harness.deps
    const changing = {
      ...passwords,
      hash: async (password: string) => {
        await setPassword(harness.deps, id, await passwords.hash('the new one'))
        return passwords.hash(password)
      },
    }
    await checkPassword(
      { ...harness.deps, passwords: changing },
      { username: 'raced', password: RIGHT },
      requester,
    )
    expect(await signIn('raced')).toBe('wrong')
    expect(await signIn('raced', 'the new one')).toBe('ok')
  })

  test('of several stored passwords (an import) the newest counts', async () => {
    const id = await person('several')
    const { clock, random, sql } = harness.deps
    const newer = await old.hash('newer')
    const now = new Date(clock.now().getTime() + 1000)
    await insertPassword(sql, { id: newId(now, random), userId: id, ...newer, now })
    expect(await signIn('several')).toBe('wrong')
    expect(await signIn('several', 'newer')).toBe('ok')
    expect(await signIn('several')).toBe('wrong')
  })
})
