import { createServer } from 'node:net'
import { findFreePort } from '../../src/commands/demo/ports.ts'

/** Below the ports that Linux gives to connections, which could take one between its choice and its use. */
const FIRST = 10_000
const LAST = 32_000
const BLOCK = 100

let block: Promise<number> | undefined
let count = 0

/**
 * A port of 127.0.0.1 for a program that is started later. It is one of a hundred that belong to this process while it
 * lives, so no test of another process gets it meanwhile.
 */
export async function reservePort(): Promise<number> {
  block ??= claimBlock()
  const first = await block
  for (let tries = 1; tries < BLOCK; tries++) {
    const port = first + 1 + (count++ % (BLOCK - 1))
    if ((await findFreePort(port)) === port) return port
  }
  throw new Error(`All ports from ${first} to ${first + BLOCK - 1} are in use.`)
}

/** Listens on the first port of a block for as long as the process lives: that claims the block. */
async function claimBlock(): Promise<number> {
  for (let port = FIRST; port < LAST; port += BLOCK) if (await hold(port)) return port
  throw new Error('Every block of ports is in use.')
}

const hold = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer().unref()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true))
  })
