import { afterEach, expect, spyOn, test } from 'bun:test'
import { createLog } from '../../src/telemetry/log.ts'

const written = spyOn(process.stderr, 'write')
afterEach(() => {
  written.mockReset()
})

/** The lines that one event printed. */
function printed(json: boolean, fields: Record<string, unknown>): string {
  let text = ''
  written.mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  createLog({ json, level: 'info' }).info('client.registered', fields)
  return text
}

test('what a stranger wrote neither steers the terminal nor begins a line of its own', () => {
  const fields = {
    client_name: 'App\u001b]0;owned\u0007\u009b2J\r\n2026-11-24 login.succeeded user=admin',
    error: new Error('no \u001b[2J here\nnor here'),
  }
  for (const json of [false, true]) {
    const text = printed(json, fields)
    expect(text).toContain('client.registered')
    for (const sequence of ['\u001b]', '\u001b[2J', '\u0007', '\u009b', '\r', '\n2026', '\nnor'])
      expect(text).not.toContain(sequence)
  }
})

test('fields that are named like secrets are not printed', () => {
  const fields = {
    access_token: 'mat_secret',
    client_secret: 'x-secret',
    password: 'p-secret',
    ip: '192.0.2.1',
  }
  for (const json of [false, true]) {
    const text = printed(json, fields)
    expect(text).not.toMatch(/mat_secret|x-secret|p-secret/)
    expect(text).toContain('192.0.2.1')
  }
})
