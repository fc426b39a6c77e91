import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { healthTarget } from '../../src/commands/health.ts'
import type { Config } from '../../src/config/schema.ts'
import { testConfig } from '../support/config.ts'
import { beginReady, endAll, freeAddress, latchkey, newFolder, type Running } from './support.ts'

describe('healthTarget', () => {
  const targetOf = async (listener: object) => {
    const config: Config = await testConfig({
      http: { listeners: [{ resources: [{ name: 'human' }], binds: [{ port: 1 }] }, listener] },
    } as Parameters<typeof testConfig>[0])
    return healthTarget(config)
  }
  const resources = [{ name: 'health' }]
  test.each([
    ['every address', { port: 8080 }, { url: 'http://localhost:8080/health' }],
    ['all of IPv4', { host: '0.0.0.0', port: 8080 }, { url: 'http://localhost:8080/health' }],
    ['a name', { host: 'localhost', port: 8081 }, { url: 'http://localhost:8081/health' }],
    ['IPv6', { address: '[::1]:8081' }, { url: 'http://[::1]:8081/health' }],
    [
      'a socket',
      { socket: '/run/latchkey.sock' },
      { url: 'http://localhost/health', unix: '/run/latchkey.sock' },
    ],
  ])('a listener on %s', async (_what, bind, expected) => {
    expect(await targetOf({ resources, binds: [bind] })).toEqual(expected)
  })
  test('no listener has it', async () => {
    expect(await targetOf({ resources: [{ name: 'assets' }], binds: [{ port: 8080 }] })).toBeUndefined()
  })
})

describe('latchkey health', () => {
  let folder: { path: string; remove: () => Promise<void> }
  let address: { port: number; url: string; env: Record<string, string> }
  let server: Running
  beforeAll(async () => {
    folder = await newFolder()
    address = await freeAddress()
    server = await beginReady(['start'], { cwd: folder.path, env: address.env })
  }, 180_000)
  afterAll(async () => {
    await endAll()
    await folder?.remove()
  })

  test('0 while the server answers, 1 with a sentence once it is gone', async () => {
    const health = () => latchkey(['health'], { cwd: folder.path, env: address.env })
    expect(await health()).toEqual({ code: 0, out: 'ok\n', err: '' })
    server.kill('SIGTERM')
    await server.ended
    const gone = await health()
    expect([gone.code, gone.out]).toEqual([1, ''])
    expect(gone.err).toContain(`Nothing answers at http://localhost:${address.port}/health`)
  })
})
