import { afterAll, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import { deactivate, killSessions, lock, unlock } from '../../src/identity/lifecycle.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import type { Browser } from '../support/browser.ts'
import {
  API_SCOPE,
  authorizeUrl,
  deviceScope,
  pkce,
  registerClient,
  signUp,
  WEB_CLIENT,
} from '../support/oauth.ts'
import { createWorld, type World } from '../support/world.ts'

/**
 * `LATCHKEY_RUNS=2000 bun test test/oauth/code-model.test.ts` is a long search, and `LATCHKEY_SEED=…` repeats the one
 * that failed.
 */
const { LATCHKEY_RUNS: runs = '60', LATCHKEY_SEED: seed } = process.env
const RUNS = Number(runs)
/** Milliseconds after which a failure is reported as it is, not yet at its shortest. */
const LIMIT = 180_000 + RUNS * 500
/** Seconds that a code is good for, and in which its replay is a retry (reference 4.3). */
const CODE_LIFETIME = 600
const REPLAY_GRACE = 20

/** An exchange at one of two processes, in order or with something wrong. */
interface Exchange {
  do: 'exchange'
  at: 0 | 1
  as: 'right' | 'wrong verifier' | 'no verifier' | 'another client' | 'another redirect'
}
type Act =
  | Exchange
  | { do: 'approve' | 'deny' | 'sign out' | 'end all' | 'deactivate' | 'revoke' | 'lock' | 'unlock' }
/** `outage` is an exchange while the homeserver is away, `race` two things at once. */
type Step =
  | Act
  | { do: 'wait'; seconds: number }
  | { do: 'outage'; at: 0 | 1 }
  | { do: 'race'; of: [Act, Act] }

const place = fc.constantFrom<0 | 1>(0, 1)
const exchanges = fc.record({
  do: fc.constant('exchange' as const),
  at: place,
  as: fc.oneof(
    { weight: 4, arbitrary: fc.constant<Exchange['as']>('right') },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Exchange['as']>(
        'wrong verifier',
        'no verifier',
        'another client',
        'another redirect',
      ),
    },
  ),
})
const person = fc.record({
  do: fc.constantFrom<Exclude<Act['do'], 'exchange'>>(
    ...([
      'approve',
      'approve',
      'approve',
      'deny',
      'sign out',
      'end all',
      'deactivate',
      'revoke',
      'lock',
      'unlock',
      'unlock',
    ] as const),
  ),
}) as fc.Arbitrary<Act>
/** Locks race nothing: what they stop may come before or after, and nothing shows which. */
const racer = fc.oneof(
  { weight: 3, arbitrary: exchanges },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('approve', 'deny', 'sign out', 'end all', 'deactivate', 'revoke'),
    }) as fc.Arbitrary<Act>,
  },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 300, max: 700 }) }),
  },
  { weight: 4, arbitrary: person },
  { weight: 6, arbitrary: exchanges },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const), at: place }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('race' as const), of: fc.tuple(racer, racer) }) },
)
/** Most stories begin with a yes: there is nothing to exchange otherwise. */
const story = fc
  .tuple(fc.boolean(), fc.array(step, { minLength: 1, maxLength: 12 }))
  .map(([early, steps]): Step[] => (early ? [{ do: 'approve' }, ...steps] : steps))

const exchangeAt = (at: 0 | 1, as: Exchange['as'] = 'right'): Exchange => ({ do: 'exchange', at, as })
const wait = (seconds: number): Step => ({ do: 'wait', seconds })
const race = (...of: [Act, Act]): Step => ({ do: 'race', of })
const YES: Act = { do: 'approve' }
/** Tried each time, whatever the search finds: every answer, and every race that tokens may come of. */
const STORIES: Step[][] = [
  [YES, race(exchangeAt(0), exchangeAt(1)), wait(20), exchangeAt(0), wait(1), exchangeAt(1)],
  [YES, race(exchangeAt(1), exchangeAt(1)), exchangeAt(0, 'wrong verifier'), { do: 'revoke' }],
  [YES, exchangeAt(0), wait(21), race(exchangeAt(0), exchangeAt(1))],
  [YES, exchangeAt(0), wait(21), exchangeAt(1, 'another client'), exchangeAt(1, 'no verifier')],
  [YES, exchangeAt(0, 'another client'), exchangeAt(1, 'no verifier'), exchangeAt(0)],
  [YES, exchangeAt(0, 'wrong verifier'), exchangeAt(1, 'another redirect'), exchangeAt(1)],
  [race(YES, YES), exchangeAt(0)],
  [race(YES, { do: 'deny' }), exchangeAt(1)],
  [{ do: 'deny' }, YES, exchangeAt(1)],
  [YES, { do: 'outage', at: 0 }, exchangeAt(1)],
  [YES, { do: 'outage', at: 1 }, race(exchangeAt(0), exchangeAt(1))],
  [YES, wait(599), exchangeAt(0)],
  [YES, wait(600), exchangeAt(0)],
  ...(['sign out', 'end all', 'deactivate', 'lock'] as const).map((act): Step[] => [
    YES,
    { do: act },
    exchangeAt(0),
  ]),
  ...(['sign out', 'end all', 'deactivate'] as const).map((act): Step[] => [
    YES,
    race({ do: act }, exchangeAt(1)),
    exchangeAt(0),
  ]),
  [YES, { do: 'lock' }, exchangeAt(0), { do: 'unlock' }, exchangeAt(1)],
]
const ANSWERS = [
  ...['code', 'access_denied', 'page', 'done'],
  ...['tokens', 'invalid_grant', 'invalid_request', 'unauthorized_client', 'temporarily_unavailable'],
]
const seen = new Set<string>()

/** What a request must be like, as RFC 6749 section 4.1.2, RFC 7636 and the reference have it. Times in milliseconds. */
interface Model {
  answer: 'approved' | 'denied' | undefined
  approvedAt: number
  exchangedAt: number | undefined
  /** The session of the app, once there were tokens. */
  appEnded: boolean
  signedOut: boolean
  locked: boolean
  deactivated: boolean
}

let world: World
let otherId: string
beforeAll(async () => {
  world = await createWorld()
  otherId = (await registerClient(world.harness, { ...WEB_CLIENT, client_name: 'Other' })).client_id
})
afterAll(() => world.close())

const now = () => world.harness.clock.now().getTime()

/** The result of an act in the model, which is as it is after it. */
function expected(model: Model, act: Act): string {
  switch (act.do) {
    case 'exchange':
      return expectedExchange(model, act.as)
    case 'approve':
    case 'deny': {
      const answers = model.answer === undefined && !model.signedOut && !model.locked && !model.deactivated
      if (!answers) return 'page'
      model.answer = act.do === 'approve' ? 'approved' : 'denied'
      model.approvedAt = now()
      return act.do === 'approve' ? 'code' : 'access_denied'
    }
    case 'sign out':
      model.signedOut = true
      return 'done'
    case 'deactivate':
    case 'end all':
      model.deactivated ||= act.do === 'deactivate'
      model.signedOut = true
      model.appEnded = true
      return 'done'
    case 'revoke':
      if (model.exchangedAt !== undefined) model.appEnded = true
      return 'done'
    default:
      model.locked = act.do === 'lock'
      return 'done'
  }
}

function expectedExchange(model: Model, as: Exchange['as']): string {
  if (model.answer !== 'approved') return 'invalid_grant'
  if (as === 'another client') return 'unauthorized_client'
  if (model.exchangedAt !== undefined) {
    const isLate = now() - model.exchangedAt > REPLAY_GRACE * 1000
    const isProven = as === 'right' || as === 'another redirect'
    if (isLate && isProven) model.appEnded = true
    return 'invalid_grant'
  }
  if (model.approvedAt + CODE_LIFETIME * 1000 <= now()) return 'invalid_grant'
  if (as === 'no verifier') return 'invalid_request'
  if (as !== 'right' || model.signedOut || model.locked || model.deactivated) return 'invalid_grant'
  model.exchangedAt = now()
  return 'tokens'
}

let people = 0

/** One person with one request, and what they and the app can do about it. */
async function begin(withDevice: boolean) {
  const { harness, processes, clientId } = world
  const browser: Browser = harness.browser()
  const username = `coder${++people}`
  await signUp(browser, username)
  const [user] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.users where username = ${username}`
  const userId = user?.id ?? ''
  // Without a device at the homeserver nothing but the request itself keeps a second exchange from its tokens.
  const device = ` ${API_SCOPE} ${deviceScope(`CODE${String(people).padStart(6, '0')}`)}`
  const scope = `openid${withDevice ? device : ''}`
  const page = await browser.open(authorizeUrl(clientId, { scope }))
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  let code = 'x'.repeat(32)
  const tokens: string[] = []

  const answer = async (action: 'consent' | 'cancel'): Promise<string> => {
    const after = await browser.post(page.url.pathname, { csrf, action })
    if (after.url.origin === harness.origin) return 'page'
    code = after.url.searchParams.get('code') ?? code
    return after.url.searchParams.get('error') ?? 'code'
  }
  const exchange = async ({ at, as }: Omit<Exchange, 'do'>): Promise<string> => {
    const response = await processes[at].form('/oauth2/token', {
      grant_type: 'authorization_code',
      client_id: as === 'another client' ? otherId : clientId,
      code,
      ...(as !== 'no verifier' && {
        code_verifier: as === 'wrong verifier' ? 'w'.repeat(43) : pkce().verifier,
      }),
      ...(as === 'another redirect' && { redirect_uri: 'https://app.example.com/elsewhere' }),
    })
    const body = (await response.json()) as { access_token?: string; error?: string }
    if (response.status !== 200) return String(body.error)
    tokens.push(body.access_token ?? '')
    return 'tokens'
  }
  const act = async (what: Act): Promise<string> => {
    const answer = await perform(what)
    seen.add(answer)
    return answer
  }
  const perform = async (what: Act): Promise<string> => {
    switch (what.do) {
      case 'exchange':
        return exchange(what)
      case 'approve':
        return answer('consent')
      case 'deny':
        return answer('cancel')
      case 'sign out':
        await browser.post('/logout', { csrf })
        return 'done'
      case 'deactivate':
        await deactivate(harness.deps, userId, false)
        return 'done'
      case 'end all':
        await killSessions(harness.deps, userId)
        return 'done'
      case 'revoke':
        for (const token of [...tokens]) await harness.form('/oauth2/revoke', { client_id: clientId, token })
        return 'done'
      default:
        await (what.do === 'lock' ? lock : unlock)(harness.deps, userId)
        return 'done'
    }
  }
  /** What the database holds of the request: sessions of the app that are alive, whether the code was spent. */
  const stored = async () => {
    const [row] = await harness.database.sql<{ live: number; spent: boolean; answer: string | null }[]>`
      select (select count(*)::int from latchkey.oauth_sessions s
          where s.user_id = ${userId} and s.finished_at is null) as live,
        coalesce(bool_or(exchanged_at is not null), false) as spent,
        max(case when fulfilled_at is not null then 'approved' when cancelled_at is not null then 'denied' end) as answer
      from latchkey.authorization_grants where id = ${grantId(page.url.pathname)}`
    if (!row) throw new Error('The request vanished.')
    return row
  }
  return { act, exchange, tokens, stored, withDevice }
}

const grantId = (path: string): string => uuidFromUlid(path.split('/')[2] ?? '') ?? ''

type Request = Awaited<ReturnType<typeof begin>>

/** Two at once. Whatever came first: results and what is left must be those of one of the two orders. */
async function takeBoth(request: Request, model: Model, of: [Act, Act]): Promise<void> {
  const got = await Promise.all([request.act(of[0]), request.act(of[1])])
  const { live, spent, answer } = await request.stored()
  const orders = [
    [0, 1],
    [1, 0],
  ].map((order) => {
    const after = { ...model }
    const results: string[] = []
    for (const index of order) results[index] = expected(after, of[index] ?? { do: 'revoke' })
    return { after, results }
  })
  const fitting = orders.find(
    ({ after, results }) =>
      Bun.deepEquals(results, got) &&
      (after.exchangedAt !== undefined) === spent &&
      (after.answer ?? null) === answer &&
      liveIn(after) === live,
  )
  expect([of, got, { live, spent, answer }, orders, fitting !== undefined]).toEqual([
    of,
    got,
    { live, spent, answer },
    orders,
    true,
  ])
  Object.assign(model, fitting?.after)
}

const liveIn = ({ exchangedAt, appEnded }: Model): number => (exchangedAt !== undefined && !appEnded ? 1 : 0)

async function take(request: Request, model: Model, one: Step): Promise<void> {
  const { homeserver, clock } = world.harness
  if (one.do === 'race') return takeBoth(request, model, one.of)
  if (one.do === 'wait') return clock.advance(one.seconds)
  if (one.do !== 'outage') {
    const wanted = { ...model }
    expect(await request.act(one)).toBe(expected(wanted, one))
    Object.assign(model, wanted)
    return
  }
  // An exchange while the homeserver is away spends nothing.
  homeserver.down = true
  const got = await request.exchange({ at: one.at, as: 'right' })
  homeserver.down = false
  seen.add(got)
  const after = { ...model }
  const wanted = expectedExchange(after, 'right')
  const isMissed = request.withDevice && wanted === 'tokens'
  expect(got).toBe(isMissed ? 'temporarily_unavailable' : wanted)
  if (!isMissed) Object.assign(model, after)
  // Enough of these, and the process would ask nothing for a while: it finds out that the homeserver is back.
  clock.advance(6)
  await world.processes[one.at].deps.homeserver.isLocalpartAvailable('nobody')
}

test(
  'any order of approval, refusal, exchange, replay, outage, expiry, sign-out, lock, deactivation, and races in two processes: one set of tokens at most, and what the rules say',
  async () => {
    const property = fc.asyncProperty(fc.boolean(), story, async (withDevice, steps) => {
      world.harness.clock.advance(60)
      const request = await begin(withDevice)
      const model: Model = {
        answer: undefined,
        approvedAt: 0,
        exchangedAt: undefined,
        appEnded: false,
        signedOut: false,
        locked: false,
        deactivated: false,
      }
      for (const one of steps) {
        await take(request, model, one)
        expect(request.tokens.length).toBe(model.exchangedAt === undefined ? 0 : 1)
        const { live, spent } = await request.stored()
        expect([one, live, spent]).toEqual([one, liveIn(model), model.exchangedAt !== undefined])
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
    expect(
      world.harness.logged.filter(
        // An outage, and the line of the request that it met.
        ({ level, event, fields }) =>
          level === 'error' && event !== 'outage' && !(event === 'request' && fields.status === 503),
      ),
    ).toEqual([])
  },
  2 * LIMIT,
)
