import { expect, test } from 'bun:test'
import { createHarness } from '../support/harness.ts'
import { postMatrix } from '../support/legacy.ts'
import { PASSWORD, signedInApp } from '../support/oauth.ts'

const ROOT = new URL('../..', import.meta.url)
const docs = await Bun.file(new URL('docs/operations.md', ROOT)).text()

/** What the process of a server writes for these events. */
async function written(events: readonly { level: string; event: string; fields: object }[]) {
  const script = `
    const { createLog } = await import('./src/telemetry/log.ts')
    const log = createLog({ json: true, level: 'info' })
    for (const { level, event, fields } of JSON.parse(await Bun.stdin.text())) log[level](event, fields)`
  const process = Bun.spawn([globalThis.process.execPath, '-e', script], {
    cwd: ROOT.pathname,
    stdin: new Blob([JSON.stringify(events)]),
    stderr: 'pipe',
  })
  return (await new Response(process.stderr).text()).trim().split('\n')
}

test('the filter for fail2ban in the documentation finds each failed sign-in in the log once, and nothing that a stranger made look like it', async () => {
  const [, pattern = ''] = /^failregex = (.+)$/m.exec(docs) ?? []
  const filter = new RegExp(pattern.replace('<ADDR>', '([0-9a-f.:]+)'))
  const harness = await createHarness()
  try {
    await signedInApp(harness, 'alice')
    harness.logged.length = 0
    const from = (ip: string, agent = 'App/1') => ({ 'x-forwarded-for': ip, 'user-agent': agent })
    const signIn = async (ip: string, username: string, password: string) => {
      const forged = '"message":"login.failed","ip":"192.0.2.99"'
      const form = await harness.browser(from(ip, forged)).open('/login')
      await form.submit({ username, password }, { action: 'login' })
    }
    await signIn('2001:db8::7', 'alice', 'wrong')
    await signIn('192.0.2.2', 'nobody', PASSWORD)
    await signIn('192.0.2.3', 'alice', PASSWORD)
    for (const [ip, password] of [
      ['192.0.2.4', 'wrong'],
      ['192.0.2.5', PASSWORD],
    ] as const)
      await postMatrix(
        harness,
        'login',
        { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password },
        from(ip),
      )
    const events = harness.logged.filter(({ level }) => level !== 'debug')
    expect(events.filter(({ event }) => event === 'request').length).toBeGreaterThanOrEqual(5)
    const lines = await written(events)
    expect(lines).toHaveLength(events.length)
    const found = lines.flatMap((line) => filter.exec(line)?.[1] ?? [])
    expect(found).toEqual(['2001:db8::7', '192.0.2.2', '192.0.2.4'])
  } finally {
    await harness.close()
  }
}, 60_000)
