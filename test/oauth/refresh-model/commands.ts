import { expect } from 'bun:test'
import fc from 'fast-check'
import { deactivate, lock, unlock } from '../../../src/identity/lifecycle.ts'
import { endSession } from '../../../src/identity/sessions.ts'
import { proofKey } from '../../support/dpop.ts'
import {
  type Answer,
  changeKey,
  isConsumed,
  isUsed,
  type Pair,
  present,
  readStored,
  recover,
  revoke,
  type Seed,
  use,
  type World,
} from '../../support/world.ts'
import { ANSWERS, isActive, type Model, type Outcome, outcomeOf } from './model.ts'

/** The real thing that a run of commands works on. */
export interface Real {
  world: World
  seed: Seed
}

type Command = fc.AsyncCommand<Model, Real>

/** A command with its arguments, which fast-check prints for a failing run. */
function command(
  name: string,
  run: (model: Model, real: Real) => Promise<void>,
  check: (model: Readonly<Model>) => boolean = () => true,
): Command {
  return {
    check,
    async run(model, real) {
      await run(model, real)
      await checkInvariants(model, real)
    },
    toString: () => name,
  }
}

/** True of every session after every step, whatever happened. */
async function checkInvariants(model: Model, { world, seed }: Real): Promise<void> {
  const stored = await readStored(world, seed.sessionId)
  expect(stored.liveRefresh).toBe(1)
  expect(stored.refresh).toBe(model.pairs.length)
  expect(stored.liveAccess).toBeLessThanOrEqual(1)
  expect(stored.finished).toBe(model.ended || model.deactivated)
  const [one, other] = world.processes
  const newest = model.pairs.length - 1
  const before = model.pairs[newest - 1]
  if (before) expect(await use(one, before.access)).toBe(false)
  const older = model.pairs[newest - 2]
  if (!older) return
  expect(await use(other, older.access)).toBe(false)
  // Presenting it under `end_session` would end the session, which is a command of its own.
  if (!model.reuseEnds) expect((await present(world, other, older.refresh)).pair).toBeUndefined()
}

const held = (model: Model): Pair => {
  const pair = model.pairs[model.holds]
  if (!pair) throw new Error('The client holds no tokens.')
  return pair
}

/** Checks one answer to a presented pair against what it must be, and moves the model on. */
function settle(model: Model, { world }: Real, outcome: Outcome, answer: Answer): void {
  expect({ status: answer.status, error: answer.error }).toEqual(ANSWERS[outcome])
  if (outcome === 'reused' && model.reuseEnds) model.ended = true
  if (!answer.pair) return
  if (outcome === 'rotated') {
    model.pairs.push(answer.pair)
    model.used = false
  } else {
    const newest = model.pairs.length - 1
    const known = model.pairs[newest]
    if (known && !model.keyChanged) expect(answer.pair).toEqual(known)
    model.pairs[newest] = answer.pair
  }
  model.keyChanged = false
  model.expiresAt = world.harness.clock.now().getTime() + 300_000
}

const refreshes = (at: 0 | 1, lost: boolean): Command =>
  command(`refresh(process ${at}${lost ? ', answer lost' : ''})`, async (model, real) => {
    const outcome = outcomeOf(model, model.holds)
    const answer = await present(real.world, real.world.processes[at], held(model).refresh)
    settle(model, real, outcome, answer)
    // The promise to people: whoever retries is never signed out.
    expect(outcome).not.toBe('reused')
    if (answer.pair && !lost) model.holds = model.pairs.length - 1
  })

const replays = (at: 0 | 1, back: number): Command =>
  command(
    `replay(process ${at}, ${back} back)`,
    async (model, real) => {
      const index = model.pairs.length - 1 - back
      const outcome = outcomeOf(model, index)
      const token = model.pairs[index]?.refresh ?? ''
      settle(model, real, outcome, await present(real.world, real.world.processes[at], token))
      // Another tab with the same store.
      if (outcome === 'repeated') model.holds = model.pairs.length - 1
    },
    (model) => model.pairs[model.pairs.length - 1 - back] !== undefined,
  )

/** Somebody who copied a token of a bound session and lacks its key: nothing happens, whatever the token. */
const steals = (at: 0 | 1, back: number, withKey: boolean): Command =>
  command(
    `steal(process ${at}, ${back} back${withKey ? ', with a key of their own' : ''})`,
    async (model, { world }) => {
      const token = model.pairs[model.pairs.length - 1 - back]?.refresh ?? ''
      const { key: _, ...without } = world
      const key = withKey ? await proofKey(world.harness.clock) : undefined
      const answer = await present(without, world.processes[at], token, key)
      expect(answer).toMatchObject({ status: 400, error: 'invalid_grant', pair: undefined })
    },
    (model) => model.bound && model.pairs[model.pairs.length - 1 - back] !== undefined,
  )

const tabs = (tabsOf: (0 | 1)[], lost: boolean): Command =>
  command(`tabs(processes ${tabsOf}${lost ? ', answers lost' : ''})`, async (model, real) => {
    const outcome = outcomeOf(model, model.holds)
    const token = held(model).refresh
    const answers = await Promise.all(
      tabsOf.map((at) => present(real.world, real.world.processes[at], token)),
    )
    const [first, ...others] = answers
    if (!first) return
    settle(model, real, outcome, first)
    for (const other of others) expect(other).toEqual(first)
    if (first.pair && !lost) model.holds = model.pairs.length - 1
  })

const uses = (at: 0 | 1): Command =>
  command(`use(process ${at})`, async (model, { world }) => {
    const active = isActive(model, world.harness.clock.now())
    expect(await use(world.processes[at], held(model).access)).toBe(active)
    if (active) model.used = true
  })

const usesWhileRefreshing = (at: 0 | 1): Command =>
  command(`use while refreshing(process ${at})`, async (model, real) => {
    const outcome = outcomeOf(model, model.holds)
    const { access, refresh } = held(model)
    const { processes } = real.world
    const [answer] = await Promise.all([
      present(real.world, processes[at], refresh),
      use(processes[1 - at] ?? processes[0], access),
    ])
    if (isActive(model, real.world.harness.clock.now())) model.used = true
    settle(model, real, outcome, answer)
    if (answer.pair) model.holds = model.pairs.length - 1
  })

/** The connections of a process break when `answers` more packets of the database came through. */
const breaks = (at: 0 | 1, answers: number): Command =>
  command(`refresh(process ${at}, database gone after ${answers} answers)`, async (model, real) => {
    const { world } = real
    const outcome = outcomeOf(model, model.holds)
    const process = world.processes[at]
    process.way.breakAfter(answers)
    const answer = await present(world, process, held(model).refresh)
    await recover(process)
    if (answer.status !== 503) {
      settle(model, real, outcome, answer)
      if (answer.pair) model.holds = model.pairs.length - 1
      return
    }
    expect(answer).toMatchObject({ error: 'temporarily_unavailable', retryAfter: expect.any(String) })
    if (outcome === 'rotated' && (await isConsumed(world, held(model).refresh))) {
      model.pairs.push(undefined)
      model.used = false
      model.keyChanged = false
    } else if (outcome === 'repeated' && model.keyChanged) model.pairs[model.pairs.length - 1] = undefined
  })

const breaksUse = (at: 0 | 1, answers: number): Command =>
  command(`use(process ${at}, database gone after ${answers} answers)`, async (model, { world }) => {
    const active = isActive(model, world.harness.clock.now())
    const process = world.processes[at]
    process.way.breakAfter(answers)
    const { access } = held(model)
    expect([active, 'outage']).toContain(await use(process, access))
    await recover(process)
    if (active) model.used = await isUsed(world, access)
  })

const locks = command('lock', async (model, { world, seed }) => {
  await lock(world.harness.deps, seed.userId)
  model.locked = true
})

const unlocks = command(
  'unlock',
  async (model, { world, seed }) => {
    await unlock(world.harness.deps, seed.userId)
    model.locked = false
  },
  (model) => model.locked,
)

const locksWhileRefreshing = (at: 0 | 1): Command =>
  command(`lock while refreshing(process ${at})`, async (model, real) => {
    const { world, seed } = real
    const outcome = outcomeOf(model, model.holds)
    const [answer] = await Promise.all([
      present(world, world.processes[at], held(model).refresh),
      lock(world.harness.deps, seed.userId),
    ])
    model.locked = true
    settle(model, real, answer.status === 503 ? 'waits' : outcome, answer)
    if (answer.pair) model.holds = model.pairs.length - 1
  })

const ends = command('end from the account page', async (model, { world, seed }) => {
  await endSession(world.harness.deps, seed.userId, seed.sessionId)
  model.ended = true
})

const revokes = (at: 0 | 1): Command =>
  command(
    `revoke(process ${at})`,
    async (model, { world }) => {
      expect(await revoke(world, world.processes[at], held(model).refresh)).toBe(200)
      model.ended = true
    },
    (model) => model.holds === model.pairs.length - 1,
  )

const deactivates = command('deactivate', async (model, { world, seed }) => {
  await deactivate(world.harness.deps, seed.userId, false)
  model.deactivated = true
})

const changesKey = (digit: string): Command =>
  command(`another secrets.encryption(${digit})`, async (model, { world }) => {
    await changeKey(world, digit)
    model.keyChanged = true
  })

const advances = (seconds: number): Command =>
  command(`${seconds} seconds pass`, async (_model, { world }) => world.harness.clock.advance(seconds))

const processes = fc.constantFrom<0 | 1>(0, 1)
const digits = fc.constantFrom('0', '1', '2', '3')
const some = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary })

/** Sequences of up to `length` steps. Endings are rare, so that most runs have much life before them. */
export const commands = (length: number): fc.Arbitrary<Iterable<Command>> => {
  const step = fc.oneof(
    some(
      8,
      fc.tuple(processes, fc.boolean()).map(([at, lost]) => refreshes(at, lost)),
    ),
    some(
      4,
      fc.tuple(processes, fc.integer({ min: 1, max: 3 })).map(([at, back]) => replays(at, back)),
    ),
    some(
      4,
      fc
        .tuple(fc.array(processes, { minLength: 2, maxLength: 6 }), fc.boolean())
        .map(([of, lost]) => tabs(of, lost)),
    ),
    some(
      3,
      fc.tuple(processes, fc.nat(2), fc.boolean()).map(([at, back, withKey]) => steals(at, back, withKey)),
    ),
    some(5, processes.map(uses)),
    some(2, processes.map(usesWhileRefreshing)),
    some(
      4,
      fc.tuple(processes, fc.nat(6)).map(([at, answers]) => breaks(at, answers)),
    ),
    some(
      2,
      fc.tuple(processes, fc.nat(3)).map(([at, answers]) => breaksUse(at, answers)),
    ),
    some(2, fc.constant(locks)),
    some(3, fc.constant(unlocks)),
    some(1, processes.map(locksWhileRefreshing)),
    some(4, fc.constantFrom(1, 299, 301, 3 * 3600, 40 * 86_400).map(advances)),
    some(1, digits.map(changesKey)),
    some(1, fc.oneof(fc.constant(ends), processes.map(revokes), fc.constant(deactivates))),
  )
  return fc.commands([step], { maxCommands: length, size: 'max' })
}

/** After all that: what an ended session must never do again, and that every other one still works. */
export async function finish(model: Model, real: Real): Promise<void> {
  const { world, seed } = real
  const [one, other] = world.processes
  if (model.locked) {
    await unlock(world.harness.deps, seed.userId)
    model.locked = false
  }
  const outcome = outcomeOf(model, model.holds)
  const answer = await present(world, one, held(model).refresh)
  settle(model, real, outcome, answer)
  if (model.ended || model.deactivated) return
  expect(await use(other, answer.pair?.access ?? '')).toBe(true)
}
