import { afterEach, expect, spyOn, test } from 'bun:test'
import { createLog } from '../../src/telemetry/log.ts'

const written = spyOn(process.stderr, 'write')
afterEach(() => {
  written.mockReset()
})

/** The lines that one event printed, which are written when everything else of its turn is done. */
async function printed(json: boolean, fields: Record<string, unknown>): Promise<string> {
  let text = ''
  written.mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  createLog({ json, level: 'info' }).info('client.registered', fields)
  await new Promise((resolve) => setImmediate(resolve))
  return text
}

test('what a stranger wrote neither steers the terminal nor begins a line of its own', async () => {
  const fields = {
    client_name: 'App\u001b]0;owned\u0007\u009b2J\r\n2026-11-24 login.succeeded user=admin',
    error: new Error('no \u001b[2J here\nnor here'),
  }
  for (const json of [false, true]) {
    const text = await printed(json, fields)
    expect(text).toContain('client.registered')
    for (const sequence of ['\u001b]', '\u001b[2J', '\u0007', '\u009b', '\r', '\n2026', '\nnor'])
      expect(text).not.toContain(sequence)
  }
})

test('fields that are named like secrets are not printed', async () => {
  const fields = {
    access_token: 'mat_secret',
    client_secret: 'x-secret',
    password: 'p-secret',
    nested: { refresh_token: 'n-secret', list: [{ client_secret: 'l-secret' }] },
    ip: '192.0.2.1',
  }
  for (const json of [false, true]) {
    const text = await printed(json, fields)
    expect(text).not.toMatch(/mat_secret|x-secret|p-secret|n-secret|l-secret/)
    expect(text).toContain('192.0.2.1')
  }
})

test('lines of one turn are one write, in order; an error is written at once; what is below the level is not', async () => {
  const writes: string[] = []
  written.mockImplementation((chunk) => {
    writes.push(String(chunk))
    return true
  })
  const log = createLog({ json: true, level: 'info' })
  log.debug('none')
  log.info('first')
  log.warn('second')
  expect(writes).toEqual([])
  await new Promise((resolve) => setImmediate(resolve))
  expect(writes.map((text) => text.match(/first|second|none/g))).toEqual([['first', 'second']])
  log.info('third')
  log.error('fourth')
  expect(writes.slice(1).map((text) => text.match(/third|fourth/g))).toEqual([['third', 'fourth']])
})

test('a process that ends writes what waits', async () => {
  const script = `
    const { createLog } = await import('./src/telemetry/log.ts')
    createLog({ json: true, level: 'info' }).info('server.stopped')
    process.exit(3)`
  const child = Bun.spawn([process.execPath, '-e', script], {
    cwd: new URL('../..', import.meta.url).pathname,
    stderr: 'pipe',
  })
  expect(await new Response(child.stderr).text()).toContain('server.stopped')
  expect(await child.exited).toBe(3)
})
