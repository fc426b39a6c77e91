import { afterAll, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Browser } from '../support/browser.ts'
import { DEVICE_SCOPE, enterCode, poll, registerDeviceClient, requestDevice } from '../support/device.ts'
import type { Harness } from '../support/harness.ts'
import { introspect, signUp } from '../support/oauth.ts'
import { createWorld, type World } from '../support/world.ts'

/**
 * `LATCHKEY_RUNS=2000 bun test test/oauth/device-model.test.ts` is a long search, and `LATCHKEY_SEED=…` repeats the one
 * that failed.
 */
const { LATCHKEY_RUNS: runs = '60', LATCHKEY_SEED: seed } = process.env
const RUNS = Number(runs)
/** Milliseconds after which a failure is reported as it is, not yet at its shortest. */
const LIMIT = 180_000 + RUNS * 500

/** One of the two processes that devices ask; people answer at a third one. */
type Place = 0 | 1
/** What may happen to a request. `race` is two things at once. */
type Step =
  | { do: 'wait'; seconds: number }
  | { do: 'poll' | 'fail' | 'foreign'; at: Place }
  | { do: 'approve' | 'reject' | 'lock' | 'unlock' }
  | { do: 'race'; of: [Actor, Actor] }
type Actor = 'poll at 0' | 'poll at 1' | 'approve' | 'reject'

const actor = fc.constantFrom<Actor>('poll at 0', 'poll at 1', 'approve', 'reject')
const place = fc.constantFrom<Place>(0, 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 30 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 600, max: 1200 }) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('poll' as const), at: place }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'approve' }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('reject', 'lock', 'unlock', 'fail', 'foreign'),
      at: place,
    }) as fc.Arbitrary<Step>,
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('race' as const), of: fc.tuple(actor, actor) }) },
)

/** Tried each time, whatever the search finds: every answer, and every race that tokens may come of. */
const POLL: Step = { do: 'poll', at: 0 }
const STORIES: Step[][] = [
  [POLL, POLL, { do: 'wait', seconds: 30 }, { do: 'poll', at: 1 }, { do: 'foreign', at: 1 }],
  [{ do: 'approve' }, { do: 'fail', at: 0 }, { do: 'race', of: ['poll at 0', 'poll at 1'] }, POLL],
  [{ do: 'approve' }, { do: 'race', of: ['poll at 1', 'poll at 1'] }, { do: 'wait', seconds: 299 }],
  [{ do: 'race', of: ['approve', 'poll at 1'] }, { do: 'wait', seconds: 30 }, POLL, POLL],
  [{ do: 'race', of: ['approve', 'reject'] }, POLL],
  [{ do: 'approve' }, { do: 'race', of: ['reject', 'poll at 0'] }, { do: 'reject' }, POLL],
  [{ do: 'reject' }, { do: 'approve' }, POLL],
  [{ do: 'approve' }, { do: 'lock' }, POLL, { do: 'unlock' }, POLL],
  [{ do: 'lock' }, { do: 'approve' }, { do: 'unlock' }, POLL],
  [{ do: 'approve' }, { do: 'wait', seconds: 1199 }, { do: 'wait', seconds: 1 }, POLL],
  [
    { do: 'wait', seconds: 1200 },
    { do: 'race', of: ['approve', 'poll at 1'] },
  ],
]
const ANSWERS = [
  'authorization_pending',
  'slow_down',
  'access_denied',
  'expired_token',
  'invalid_grant',
  'temporarily_unavailable',
  'tokens',
]

/** What a request must be like, as RFC 8628 and the reference have it. Times are in milliseconds. */
interface Model {
  answer: 'approved' | 'rejected' | undefined
  exchanged: boolean
  exchangedAt: number
  locked: boolean
  expiresAt: number
  polledAt: number | undefined
  interval: number
}

let world: World
let harness: Harness
let browser: Browser
let clientId: string
let otherId: string
beforeAll(async () => {
  world = await createWorld()
  harness = world.harness
  browser = harness.browser()
  await signUp(browser, 'alice')
  clientId = await registerDeviceClient(harness)
  otherId = await registerDeviceClient(harness, { client_name: 'Other' })
})
afterAll(() => world.close())

const now = () => harness.clock.now().getTime()

/** The answer that a poll must get now; the model is as it is after it. */
function expectedPoll(model: Model): string {
  if (now() >= model.expiresAt) return 'expired_token'
  if (model.exchanged) return 'invalid_grant'
  if (model.answer === 'rejected') return 'access_denied'
  if (model.answer === 'approved') {
    if (model.locked) return 'access_denied'
    model.exchanged = true
    model.exchangedAt = now()
    return 'tokens'
  }
  const slow = model.polledAt !== undefined && model.polledAt + (model.interval - 1) * 1000 > now()
  model.polledAt = now()
  if (slow) model.interval = Math.min(model.interval + 5, 60)
  return slow ? 'slow_down' : 'authorization_pending'
}

/** What the person's answer changes: the first one counts, while there is time, and not when the account is locked. */
function applyAnswer(model: Model, given: 'approved' | 'rejected'): void {
  if (model.answer === undefined && !model.locked && now() < model.expiresAt) model.answer = given
}

test(
  'any order of poll, approval, refusal, lock, outage, expiry and races: the answers of RFC 8628, and tokens once at most, never without approval',
  async () => {
    const seen = new Set<string>()
    // Without a device at the homeserver nothing but the request itself keeps a second exchange from its tokens.
    const steps = fc.array(step, { minLength: 1, maxLength: 14 })
    const property = fc.asyncProperty(fc.boolean(), steps, async (withDevice, steps) => {
      harness.clock.advance(120)
      const asked = await requestDevice(harness, clientId, { scope: withDevice ? DEVICE_SCOPE : 'openid' })
      const page = await enterCode(browser, asked.user_code)
      const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
      const tokens: string[] = []
      const model: Model = {
        answer: undefined,
        exchanged: false,
        exchangedAt: 0,
        locked: false,
        expiresAt: now() + 1_200_000,
        polledAt: undefined,
        interval: 5,
      }
      const ask = async (at: Place, client = clientId): Promise<string> => {
        const { status, body } = await poll(world.processes[at], client, asked.device_code)
        if (status === 200) tokens.push(String(body.access_token))
        const answer = status === 200 ? 'tokens' : String(body.error)
        seen.add(answer)
        return answer
      }
      const say = async (action: 'consent' | 'reject'): Promise<string> => {
        const shown = await browser.post(page.url.pathname, { csrf, action, confirm_device: '1' })
        expect(shown.status).toBe(200)
        return action
      }
      const act = {
        'poll at 0': () => ask(0),
        'poll at 1': () => ask(1),
        approve: () => say('consent'),
        reject: () => say('reject'),
      }
      const lock = async (at: Date | null) => {
        await harness.database.sql`update latchkey.users set locked_at = ${at} where username = 'alice'`
        model.locked = at !== null
      }

      /** Two at once. Whatever came first: the results must be those of one of the two orders. */
      const race = async (of: [Actor, Actor]): Promise<void> => {
        const [first, second] = of
        const got = await Promise.all([act[first](), act[second]()])

        const orders = [
          [0, 1],
          [1, 0],
        ].map((order) => {
          const after = { ...model }
          const results: string[] = []
          for (const index of order) {
            const what = of[index] ?? 'poll at 0'
            if (what.startsWith('poll')) results[index] = expectedPoll(after)
            else {
              applyAnswer(after, what === 'approve' ? 'approved' : 'rejected')
              results[index] = what === 'approve' ? 'consent' : 'reject'
            }
          }
          return { after, results }
        })
        const fitting = orders.filter(({ results }) => Bun.deepEquals(results, got))
        expect([got, orders.map(({ results }) => results), fitting.length > 0]).toEqual([
          got,
          orders.map(({ results }) => results),
          true,
        ])
        const [row] = await harness.database.sql<
          {
            fulfilled_at: Date | null
            rejected_at: Date | null
            interval_seconds: number
            polled_at: Date | null
          }[]
        >`
          select fulfilled_at, rejected_at, interval_seconds, polled_at from latchkey.device_grants
          order by created_at desc limit 1`
        const answer = row?.fulfilled_at ? 'approved' : row?.rejected_at ? 'rejected' : undefined
        const held = fitting.find(({ after }) => after.answer === answer)
        expect([of, answer, held !== undefined]).toEqual([of, answer, true])
        Object.assign(model, held?.after)
        // A poll that overlapped the answer may have been noted or not.
        model.interval = row?.interval_seconds ?? 0
        model.polledAt = row?.polled_at?.getTime()
      }

      for (const one of steps) {
        if (one.do === 'race') await race(one.of)
        else if (one.do === 'wait') harness.clock.advance(one.seconds)
        else if (one.do === 'poll') expect(await ask(one.at)).toBe(expectedPoll(model))
        else if (one.do === 'foreign') expect(await ask(one.at, otherId)).toBe('invalid_grant')
        else if (one.do === 'lock') await lock(harness.clock.now())
        else if (one.do === 'unlock') await lock(null)
        else if (one.do === 'approve' || one.do === 'reject') {
          await act[one.do]()
          applyAnswer(model, one.do === 'approve' ? 'approved' : 'rejected')
        } else if (one.do === 'fail') {
          // An exchange while the homeserver is away spends nothing.
          const before = { ...model }
          harness.homeserver.down = true
          const got = await ask(one.at)
          harness.homeserver.down = false
          const wanted = expectedPoll(model)
          const isMissed = withDevice && wanted === 'tokens'
          expect(got).toBe(isMissed ? 'temporarily_unavailable' : wanted)
          if (isMissed) Object.assign(model, before)
          // Enough of these, and the process would ask nothing for a while: it finds out that the homeserver is back.
          harness.clock.advance(6)
          await world.processes[one.at].deps.homeserver.isLocalpartAvailable('nobody')
        }
        expect(tokens.length).toBe(model.exchanged ? 1 : 0)
        expect(tokens.length === 0 || model.answer === 'approved').toBe(true)
      }
      await lock(null)
      const [count] = await harness.database.sql<{ sessions: string }[]>`
        select count(*) as sessions from latchkey.oauth_sessions s join latchkey.device_grants g on g.oauth_session_id = s.id
        where g.created_at = (select max(created_at) from latchkey.device_grants) and s.finished_at is null`
      expect(Number(count?.sessions)).toBe(tokens.length)
      // Good for five minutes, and for the person who said yes.
      for (const token of tokens) {
        const { active, username } = await introspect(harness, token)
        const isGood = now() < model.exchangedAt + 300_000
        expect([active, username]).toEqual([isGood, isGood ? 'alice' : undefined])
      }
    })
    await fc.assert(property, {
      numRuns: RUNS + 2 * STORIES.length,
      examples: [true, false].flatMap((withDevice) =>
        STORIES.map((story): [boolean, Step[]] => [withDevice, story]),
      ),
      interruptAfterTimeLimit: LIMIT,
      ...(seed !== undefined && { seed: Number(seed) }),
    })
    expect([...seen].sort()).toEqual([...ANSWERS].sort())
  },
  2 * LIMIT,
)
