import { expect, test } from 'bun:test'
import { findFreePort } from '../../../src/commands/demo/ports.ts'

test('findFreePort: a port that is taken is passed over for the next free one', async () => {
  using server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const taken = server.port ?? 0
  const found = await findFreePort(taken)
  expect(found).toBeGreaterThan(taken)
  expect(await findFreePort(taken, new Set([found]))).toBeGreaterThan(found)
})

test('findFreePort: 0 is any port, and not one that was given out already', async () => {
  const first = await findFreePort(0)
  expect(first).toBeGreaterThan(0)
  expect(await findFreePort(0, new Set([first]))).not.toBe(first)
})
