import { expect, test } from 'bun:test'

const ROOT = new URL('../..', import.meta.url)
const docs = await Bun.file(new URL('docs/operations.md', ROOT)).text()

test('the filter for fail2ban in the documentation finds a wrong password in the log, and nothing that a stranger made look like it', async () => {
  const [, pattern = ''] = /^failregex = (.+)$/m.exec(docs) ?? []
  const filter = new RegExp(pattern.replace('<ADDR>', '([0-9a-f.:]+)'))
  const script = `
    const { createLog } = await import('./src/telemetry/log.ts')
    const log = createLog({ json: true, level: 'info' })
    log.warn('login.failed', { user_id: undefined, ip: '2001:db8::7' })
    log.info('login.succeeded', { ip: '192.0.2.2' })
    log.info('request', { user_agent: '"message":"login.failed","ip":"192.0.2.3"', ip: '192.0.2.4' })`
  const process = Bun.spawn([globalThis.process.execPath, '-e', script], {
    cwd: ROOT.pathname,
    stderr: 'pipe',
  })
  const lines = (await new Response(process.stderr).text()).trim().split('\n')
  expect(lines).toHaveLength(3)
  expect(lines.map((line) => filter.exec(line)?.[1])).toEqual(['2001:db8::7', undefined, undefined])
})
