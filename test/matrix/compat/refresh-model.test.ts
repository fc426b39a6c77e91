import { afterAll, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import { lock, unlock } from '../../../src/identity/lifecycle.ts'
import { createHarness, type Harness } from '../../support/harness.ts'
import {
  createPerson,
  introspectLegacy,
  legacyLogin,
  logoutLegacy,
  refreshLegacy,
} from '../../support/legacy.ts'

let harness: Harness
let processes: [Harness, Harness]
beforeAll(async () => {
  harness = await createHarness()
  processes = [harness, await createHarness({ beside: harness })]
})
afterAll(async () => {
  await processes[1].close()
  await harness.close()
})

/** A pair of tokens as the rules of decision 8 have it. */
interface Pair {
  access: string
  refresh: string
  /** Its access token was seen by the homeserver. */
  used: boolean
  /** The pair that replaced it. */
  next: Pair | undefined
}

type Step =
  | { do: 'refresh' | 'use'; pair: number; by: 0 | 1 }
  | { do: 'refresh twice at once'; pair: number }
  | { do: 'lock' | 'unlock' | 'log out' }

const pair = fc.nat(6)
const by = fc.constantFrom(0 as const, 1 as const)
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('refresh' as const), pair, by }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('use' as const), pair, by }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('refresh twice at once' as const), pair }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('lock' as const, 'unlock' as const, 'log out' as const) }),
    },
  ),
  { minLength: 1, maxLength: 14 },
)

let people = 0

/** One session and what it should be like. */
async function runSteps(list: readonly Step[]): Promise<void> {
  const username = `model${++people}`
  const id = await createPerson(harness, username)
  const login = await legacyLogin(harness, username, { refresh_token: true })
  const first: Pair = {
    access: login.access_token,
    refresh: login.refresh_token ?? '',
    used: false,
    next: undefined,
  }
  const pairs = [first]
  let locked = false
  let ended = false

  /** What presenting the refresh token of a pair should give, and does to the model once `answer` is known. */
  const expected = (one: Pair): 'locked' | 'refused' | 'same' | 'new' => {
    if (ended) return 'refused'
    if (locked) return 'locked'
    if (!one.next) return 'new'
    return one.next.used || one.next.next ? 'refused' : 'same'
  }
  const check = (
    one: Pair,
    wanted: ReturnType<typeof expected>,
    answer: Awaited<ReturnType<typeof refreshLegacy>>,
  ) => {
    const { status, body } = answer
    if (wanted === 'locked' || wanted === 'refused') {
      expect(body.errcode).toBe(wanted === 'locked' ? 'M_USER_LOCKED' : 'M_UNKNOWN_TOKEN')
      expect(body.soft_logout).toBe(wanted === 'locked' ? true : undefined)
      return
    }
    expect(status).toBe(200)
    const [access, refresh] = [String(body.access_token), String(body.refresh_token)]
    if (!one.next) {
      one.next = { access, refresh, used: false, next: undefined }
      pairs.push(one.next)
    }
    expect([access, refresh]).toEqual([one.next.access, one.next.refresh])
  }

  for (const step of list) {
    if (!('pair' in step)) {
      if (step.do === 'log out') {
        const good = pairs.find((one) => !one.next)
        // Whoever is locked may sign out too.
        expect((await logoutLegacy(harness, good?.access ?? '')).status).toBe(ended ? 401 : 200)
        ended = true
      } else {
        await (step.do === 'lock' ? lock : unlock)(harness.deps, id)
        locked = step.do === 'lock'
      }
      continue
    }
    const one = pairs[step.pair % pairs.length] ?? first
    if (step.do === 'use') {
      const { active } = await introspectLegacy(processes[step.by], one.access)
      expect(active).toBe(!ended && !locked && !one.next)
      one.used ||= active === true
      continue
    }
    const wanted = expected(one)
    if (step.do === 'refresh') check(one, wanted, await refreshLegacy(processes[step.by], one.refresh))
    else {
      const answers = await Promise.all(processes.map((process) => refreshLegacy(process, one.refresh)))
      for (const answer of answers) check(one, wanted, answer)
    }
  }
}

test('POST /_matrix/client/{version}/refresh: in any order of uses, two processes keep to the rules of decision 8', async () => {
  await fc.assert(fc.asyncProperty(steps, runSteps), { numRuns: 60 })
}, 180_000)
