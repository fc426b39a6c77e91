import { join } from 'node:path'
import { fetchLocal } from '../../src/http/outgoing.ts'
import { latchkey } from '../commands/support.ts'
import { startTestStack } from '../e2e/stack.ts'
import { selfSigned } from '../support/certificate.ts'
import { PASSWORD } from '../support/chromium.ts'
import { CONSOLE, MATRIX } from './drive.ts'

/** Where clients find the homeserver of a name. */
export const WELL_KNOWN = { 'm.homeserver': { base_url: MATRIX } }

/** A console that was built, with a deployment that it can administer. */
export interface Deployment {
  /** Ports of 127.0.0.1 that play the hosts, for Chromium. */
  hosts: Record<string, number>
  latchkeyUrl: string
  stop(): Promise<void>
}

const HOSTS = [CONSOLE, MATRIX].map((url) => new URL(url).host)
export const ANYBODY = { headers: { 'access-control-allow-origin': '*' } }

/** What older clients sign in with: Latchkey serves it in Synapse's place. */
const LEGACY_LOGIN = /^\/_matrix\/client\/[^/]+\/(login|logout|refresh)(\/|$)/

/**
 * Starts Synapse and Latchkey with an admin `ada` and people, and serves the console in the folder `dist` on `https:`. The
 * web server lets Synapse's admin API through, unlike the demo's.
 */
export async function deploy(dist: string): Promise<Deployment> {
  const stack = await startTestStack()
  try {
    const manage = async (args: string, stdin = '') => {
      const done = await latchkey(['manage', ...args.split(' '), '-c', stack.configPath], { cwd: '/', stdin })
      if (done.code !== 0) throw new Error(done.err)
    }
    for (const person of ['ada --admin', 'alice -e alice@example.org', 'bob'])
      await manage(`register-user ${person} --password-stdin`, PASSWORD)
    await manage('issue-compatibility-token alice ALICESPHONE')
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      idleTimeout: 60,
      tls: await selfSigned(HOSTS),
      fetch(request) {
        const url = new URL(request.url)
        const host = request.headers.get('host')
        if (host === HOSTS[0]) return serveFile(dist, url.pathname)
        if (url.pathname === '/.well-known/matrix/client') return Response.json(WELL_KNOWN, ANYBODY)
        const legacy = LEGACY_LOGIN.test(url.pathname)
        return passOn(
          request,
          new URL(url.pathname + url.search, legacy ? stack.latchkeyUrl : stack.synapseUrl),
        )
      },
    })
    const port = server.port ?? 0
    return {
      hosts: Object.fromEntries(HOSTS.map((host) => [`${host}:443`, port])),
      latchkeyUrl: stack.latchkeyUrl,
      async stop() {
        await server.stop(true)
        await stack.stop()
      },
    }
  } catch (error) {
    await stack.stop()
    throw error
  }
}

/** A file of the console; every other path is a page of its own making. */
async function serveFile(dist: string, path: string): Promise<Response> {
  const file = Bun.file(join(dist, path.endsWith('/') ? `${path}index.html` : path))
  if (!path.includes('..') && (await file.exists())) return new Response(file)
  return new Response(Bun.file(join(dist, 'index.html')))
}

async function passOn(request: Request, url: URL): Promise<Response> {
  const headers = new Headers(request.headers)
  headers.delete('host')
  headers.delete('accept-encoding')
  const body = ['GET', 'HEAD'].includes(request.method) ? undefined : await request.arrayBuffer()
  const {
    status,
    headers: answered,
    body: stream,
  } = await fetchLocal(url, {
    method: request.method,
    headers,
    redirect: 'manual',
    ...(body && { body }),
  })
  return new Response(stream, { status, headers: answered })
}
