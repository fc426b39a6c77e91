import { expect, test } from 'bun:test'
import { work } from '../../src/commands/serve.ts'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import { createHarness } from '../support/harness.ts'
import { mailConfig, startMailServer } from '../support/mail-server.ts'

test('work: a mail server that is down is named at the start, and holds up nothing', async () => {
  const server = await startMailServer()
  const harness = await createHarness({ config: { email: mailConfig(server) } })
  await server.close()
  try {
    await work(harness.deps, jobHandlers(harness.deps), new AbortController().signal)
    for (let tries = 0; tries < 1000; tries++) {
      if (harness.logged.some(({ event }) => event === 'mail.check_failed')) break
      await Bun.sleep(25)
    }
    const failed = harness.logged.find(({ event }) => event === 'mail.check_failed')
    expect(failed).toMatchObject({ level: 'warn', fields: { error: { name: 'MailError' } } })
  } finally {
    await harness.close()
  }
})
