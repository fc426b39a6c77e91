import { type Browser, createBrowser } from '../support/browser.ts'
import type { Latchkey } from './deployment.ts'

/** A browser without script on the servers of a suite: the first one that lives answers; a broken request is sent again. */
export function browserOn(servers: readonly Latchkey[]): Browser {
  const handle = async (request: Request): Promise<Response> => {
    const body = request.body === null ? undefined : await request.text()
    for (const server of servers) {
      if (!server.alive()) continue
      const { pathname, search } = new URL(request.url)
      try {
        return await fetch(`http://127.0.0.1:${server.port}${pathname}${search}`, {
          method: request.method,
          headers: request.headers,
          ...(body !== undefined && { body }),
          redirect: 'manual',
          keepalive: false,
        })
      } catch {
        await server.ended
      }
    }
    throw new Error('No server answers.')
  }
  return createBrowser(handle, { origin: 'http://auth.test' })
}
