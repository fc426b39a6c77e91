import { afterAll, beforeAll, describe, test } from 'bun:test'
import fc from 'fast-check'
import { createWorld, seedSession, type World } from '../support/world.ts'
import { commands, finish } from './refresh-model/commands.ts'
import type { Model } from './refresh-model/model.ts'

/**
 * Sequences of each variant: `LATCHKEY_RUNS=5000 bun test test/oauth/refresh-model.test.ts` is a long search, and
 * `LATCHKEY_SEED=…` repeats the one that failed.
 */
const { LATCHKEY_RUNS: runs = '60', LATCHKEY_SEED: seed } = process.env
const RUNS = Number(runs)
const STEPS = 15
/** Milliseconds after which a failure is reported as it is, not yet at its shortest. */
const LIMIT = 180_000 + RUNS * 500

for (const [reuse, bound] of [
  ['reject', false],
  ['end_session', false],
  ['reject', true],
  ['end_session', true],
] as const)
  describe(`refresh_token_reuse: ${reuse}${bound ? ', bound to a key' : ''}`, () => {
    let world: World
    beforeAll(async () => {
      world = await createWorld({ oauth: { refresh_token_reuse: reuse } }, bound)
    })
    afterAll(() => world.close())

    test(
      'any order of refresh, lost answer, replay, tabs, lock, end, expiry and outage: one live chain, nobody signed out',
      async () => {
        const property = fc.asyncProperty(commands(STEPS), async (steps) => {
          const person = await seedSession(world)
          const model: Model = {
            pairs: [person.pair],
            holds: 0,
            used: false,
            expiresAt: world.harness.clock.now().getTime() + 300_000,
            keyChanged: false,
            locked: false,
            deactivated: false,
            ended: false,
            reuseEnds: reuse === 'end_session',
            bound,
          }
          const real = { world, seed: person }
          await fc.asyncModelRun(() => ({ model, real }), steps)
          await finish(model, real)
        })
        await fc.assert(property, {
          // Half of them each: the chain is the same with a key.
          numRuns: bound ? Math.ceil(RUNS / 2) : RUNS,
          interruptAfterTimeLimit: LIMIT,
          ...(seed !== undefined && { seed: Number(seed) }),
        })
      },
      2 * LIMIT,
    )
  })
