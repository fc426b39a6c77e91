import { afterAll, beforeAll, expect, test } from 'bun:test'
import { CommandError } from '../../src/commands/context.ts'
import { checkHomeserver } from '../../src/commands/prepare.ts'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { signUp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

test('from standalone to synapse: everybody is told to the homeserver by jobs (decision 27)', async () => {
  const { deps } = harness
  const standalone = {
    ...deps,
    config: { ...deps.config, matrix: { ...deps.config.matrix, kind: 'standalone' as const } },
  }
  await checkHomeserver(standalone)
  await signUp(harness.browser(), 'early')
  await signUp(harness.browser(), 'bird')
  await harness.runJobs()
  // What a homeserver that was installed today knows.
  harness.homeserver.users.clear()

  await checkHomeserver(deps)
  // The step that covers everybody adds a job for each person, which the next round runs.
  await deps.jobs.runDue(jobHandlers(deps))
  await deps.jobs.runDue(jobHandlers(deps))
  expect([...harness.homeserver.users.keys()].sort()).toEqual(['bird', 'early'])

  harness.homeserver.users.clear()
  await checkHomeserver(deps)
  await deps.jobs.runDue(jobHandlers(deps))
  expect(harness.homeserver.users.size).toBe(0)
})

test('another server name: refused, and the homeserver of that name hears of nobody (decision 27)', async () => {
  const { deps } = harness
  const matrix = { ...deps.config.matrix, kind: 'standalone' as const }
  await checkHomeserver({ ...deps, config: { ...deps.config, matrix } })
  const other = { ...deps.config.matrix, homeserver: 'other.example' }
  const start = checkHomeserver({ ...deps, config: { ...deps.config, matrix: other } })
  expect(await start.catch((error: unknown) => error)).toBeInstanceOf(CommandError)
  harness.homeserver.users.clear()
  await deps.jobs.runDue(jobHandlers(deps))
  await deps.jobs.runDue(jobHandlers(deps))
  expect(harness.homeserver.users.size).toBe(0)
})
