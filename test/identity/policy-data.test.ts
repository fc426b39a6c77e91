import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  createPolicyData,
  currentPolicyData,
  PolicyDataError,
  setPolicyData,
} from '../../src/identity/policy-data.ts'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import { createHarness, type Harness } from '../support/harness.ts'

const NOBODY = { ip: undefined, userAgent: undefined }
const CONFIG = {
  policy: { data: { registration: { banned_usernames: { literals: ['root'] } }, admin_users: ['ada'] } },
}
let harness: Harness
let other: Harness
beforeAll(async () => {
  harness = await createHarness({ config: CONFIG })
  other = await createHarness({ config: CONFIG, beside: harness })
})
afterAll(async () => {
  await other.close()
  await harness.close()
})

const codes = async ({ deps }: Harness, username: string) =>
  (await deps.policy.register({ username, method: 'password' }, NOBODY)).map(({ code }) => code)

describe('policy.data at run time (reference operations 2.3, 6.1)', () => {
  test('before anything is set, the configuration counts', async () => {
    expect(await currentPolicyData(harness.deps)).toBeUndefined()
    expect(await codes(harness, 'root')).toEqual(['username-banned'])
    expect(await codes(harness, 'eve')).toEqual([])
    expect(await codes(other, 'eve')).toEqual([])
  })

  test('what is set adds to the lists: here at once, in another process seconds later', async () => {
    const set = await setPolicyData(harness.deps, {
      registration: { banned_usernames: { literals: ['eve'] } },
    })
    expect(await codes(harness, 'eve')).toEqual(['username-banned'])
    expect(await codes(harness, 'root')).toEqual(['username-banned'])
    expect(await codes(other, 'eve')).toEqual([])
    harness.clock.advance(5)
    expect(await codes(other, 'eve')).toEqual(['username-banned'])
    expect(await currentPolicyData(other.deps)).toEqual(set)
  })

  test('the newest one counts alone', async () => {
    harness.clock.advance(1)
    await setPolicyData(harness.deps, { requester: { banned_ips: ['192.0.2.0/24'] } })
    expect(await codes(harness, 'eve')).toEqual([])
    expect(await harness.deps.policy.email('a@b.org', { ip: '192.0.2.1', userAgent: 'x' })).toMatchObject([
      { code: 'requester-banned' },
    ])
  })

  test('null takes a list of the configuration away', async () => {
    harness.clock.advance(1)
    await setPolicyData(harness.deps, { registration: { banned_usernames: null } })
    expect(await codes(harness, 'root')).toEqual([])
  })

  test.each<[unknown, string]>([
    [[], 'Policy data must be a mapping (an object in JSON).'],
    [null, 'Policy data must be a mapping (an object in JSON).'],
    ['x', 'Policy data must be a mapping (an object in JSON).'],
    [{ admin_users: 'ada' }, 'policy.data.admin_users has another type there.'],
    [{ banned_domains: [1] }, 'policy.data.banned_domains.0 in the policy data: must be text'],
    [{ registration: { baned_usernames: {} } }, 'Did you mean `banned_usernames`?'],
    [{ requester: { banned_ips: ['x'] } }, 'policy.data.requester.banned_ips.0 in the policy data: must be'],
    [{ mine: ['a\0'] }, 'must not hold the character U+0000'],
    [{ mine: { '\ud800': 1 } }, 'half of a surrogate pair'],
    [{ emails: { banned_addresses: { regexes: ['('] } } }, 'is not a regular expression that can be used'],
  ])('%j is refused in a sentence, and nothing changes', async (data, sentence) => {
    const before = await currentPolicyData(harness.deps)
    const refused = await setPolicyData(harness.deps, data).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(PolicyDataError)
    expect((refused as Error).message).toContain(sentence)
    expect(await currentPolicyData(harness.deps)).toEqual(before)
  })

  test('many questions at once ask the database once', async () => {
    const asked: string[] = []
    const { sql, clock, config } = harness.deps
    const counting = new Proxy(sql, {
      apply: (target, self, args: [TemplateStringsArray]) => {
        asked.push(args[0].join('?'))
        return Reflect.apply(target, self, args)
      },
    })
    const source = createPolicyData({ sql: counting, clock, config })
    await Promise.all(Array.from({ length: 100 }, () => source.current()))
    expect(asked.filter((text) => text.includes('policy_data'))).toHaveLength(2)
  })

  test('data that does not fit a configuration that came later refuses everything (closed)', async () => {
    await setPolicyData(harness.deps, { mine: { a: 1 } })
    const later = await createHarness({
      config: { policy: { data: { mine: 'x' } as object } },
      beside: harness,
    })
    expect(await codes(later, 'a').catch((error: unknown) => (error as Error).name)).toBe('PolicyDataError')
    await later.close()
  })

  test('only the ten newest are kept', async () => {
    for (let index = 0; index < 12; index++) {
      harness.clock.advance(1)
      await setPolicyData(harness.deps, { mine: index })
    }
    const newest = await currentPolicyData(harness.deps)
    await jobHandlers(harness.deps)['clean-up']({})
    const rows = await harness.deps.sql`select id from latchkey.policy_data`
    expect(rows).toHaveLength(10)
    expect(await currentPolicyData(harness.deps)).toEqual(newest)
  })
})
