import { afterAll, beforeAll, describe, test } from 'bun:test'
import fc from 'fast-check'
import { commands, finish } from './refresh-model/commands.ts'
import type { Model } from './refresh-model/model.ts'
import { createWorld, seedSession, type World } from './refresh-model/world.ts'

/** Sequences of each variant; `LATCHKEY_RUNS=5000 bun test test/oauth/refresh-model.test.ts` for a long search. */
const RUNS = Number(process.env.LATCHKEY_RUNS ?? 40)
const STEPS = 15

for (const reuse of ['reject', 'end_session'] as const)
  describe(`refresh_token_reuse: ${reuse}`, () => {
    let world: World
    beforeAll(async () => {
      world = await createWorld({ oauth: { refresh_token_reuse: reuse } })
    })
    afterAll(() => world.close())

    test(
      'any order of refresh, lost answer, replay, tabs, lock, end, expiry and outage: one live chain, nobody signed out',
      async () => {
        const property = fc.asyncProperty(commands(STEPS), async (steps) => {
          const seed = await seedSession(world)
          const model: Model = {
            pairs: [seed.pair],
            holds: 0,
            used: false,
            expiresAt: world.harness.clock.now().getTime() + 300_000,
            keyChanged: false,
            locked: false,
            deactivated: false,
            ended: false,
            reuseEnds: reuse === 'end_session',
          }
          const real = { world, seed }
          await fc.asyncModelRun(() => ({ model, real }), steps)
          await finish(model, real)
        })
        await fc.assert(property, { numRuns: RUNS, endOnFailure: false })
      },
      RUNS * 2_000,
    )
  })
