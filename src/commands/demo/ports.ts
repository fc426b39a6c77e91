// node:net, because Bun.listen cannot be told to fail when another process shares the port.
import { createServer } from 'node:net'

/** How far from the preferred port a free one is looked for. */
const REACH = 100

/**
 * `preferred`, or the next port above it that is free on 127.0.0.1 and not in `taken`. With 0, any free port. Throws
 * an Error when none of the next hundred is free.
 */
export async function findFreePort(
  preferred: number,
  taken: ReadonlySet<number> = new Set(),
): Promise<number> {
  for (let port = preferred; port < preferred + REACH && port < 65_536; port++) {
    if (taken.has(port)) continue
    const found = await tryPort(port)
    if (found !== undefined && !taken.has(found)) return found
    if (preferred === 0) return findFreePort(0, taken)
  }
  throw new Error(
    `No free port from ${preferred} to ${preferred + REACH - 1}: stop what uses them, then try again.`,
  )
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined))
    })
  })
}
