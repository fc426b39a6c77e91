import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Finding } from '../../src/commands/doctor/finding.ts'
import { beginReady, endAll, latchkey, newFolder, type Running } from '../commands/support.ts'
import { createBrowser } from '../support/browser.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import type { Harness } from '../support/harness.ts'
import { exchange, obtainCode, PASSWORD, registerClient } from '../support/oauth.ts'
import { reservePort } from '../support/ports.ts'
import { SYNAPSE_START_MS, startTestSynapse, type TestSynapse } from '../support/synapse.ts'
import { isInstalled, WEB_SERVERS, type WebServer, type WebServerName } from '../support/web-server.ts'

/** The cases of docs/planning.md. */
const CASES = {
  'three hosts': {
    args: [],
    latchkey: 'https://auth.example.org/',
    homeserver: 'https://matrix.example.org/',
  },
  'the issuer is the deployment domain': {
    args: ['--issuer-on-domain'],
    latchkey: 'https://auth.example.org/',
    homeserver: 'https://matrix.example.org/',
  },
  'below a path of the homeserver': {
    args: ['--url', 'https://matrix.example.org/auth/'],
    latchkey: 'https://matrix.example.org/auth/',
    homeserver: 'https://matrix.example.org/',
  },
  'all on one host': {
    args: ['--url', 'https://example.org/', '--homeserver-url', 'https://example.org/'],
    latchkey: 'https://example.org/',
    homeserver: 'https://example.org/',
  },
  'all on one host, below a path': {
    args: ['--url', 'https://example.org/auth/', '--homeserver-url', 'https://example.org/'],
    latchkey: 'https://example.org/auth/',
    homeserver: 'https://example.org/',
  },
} as const

const WRITTEN: Record<WebServerName, string> = { nginx: 'nginx.conf', caddy: 'Caddyfile' }
const HOSTS = ['example.org', 'matrix.example.org', 'auth.example.org']

afterAll(endAll)

describe.each(Object.entries(CASES))('latchkey setup, %s', (_name, planned) => {
  let folder: { path: string; remove: () => Promise<void> }
  let database: TestDatabase
  let synapse: TestSynapse
  let server: Running
  const at = (name: string) => join(folder.path, 'plan', name)
  const run = (args: string[], options: { stdin?: string; env?: Record<string, string> } = {}) =>
    latchkey(args, { cwd: folder.path, ...options })

  beforeAll(async () => {
    folder = await newFolder()
    database = await createTestDatabase({ migrated: false })
    const port = await reservePort()
    const synapsePort = await reservePort()
    const args = ['--domain', 'example.org', '--database', database.uri, '--listen', `localhost:${port}`]
    args.push('--homeserver-endpoint', `http://localhost:${synapsePort}/`, '-o', 'plan', ...planned.args)
    expect(await run(['setup', ...args])).toMatchObject({ code: 0, err: '' })
    // What the file says, and nothing else, connects Synapse.
    const { matrix_authentication_service: link } = parse(await readFile(at('synapse.yaml'), 'utf8'))
    expect(link.enabled).toBe(true)
    const { endpoint: latchkeyUrl, secret } = link
    const listening = { latchkeyUrl, secret, serverName: 'example.org', port: synapsePort }
    synapse = await startTestSynapse(listening)
    // Tests do in seconds what people do in days.
    const limit = 'LATCHKEY_RATE_LIMITING__LOGIN__PER_IP__'
    const env = { [`${limit}BURST`]: '1000', [`${limit}PER_SECOND`]: '1000' }
    server = await beginReady(['server', '-c', at('config.yaml')], { cwd: folder.path, env })
    const alice = ['manage', 'register-user', 'alice', '--password-stdin', '-c', at('config.yaml')]
    expect(await run(alice, { stdin: PASSWORD })).toMatchObject({ code: 0 })
  }, SYNAPSE_START_MS)

  afterAll(async () => {
    server?.kill('SIGTERM')
    await server?.ended
    await synapse?.stop()
    await database?.drop()
    await folder?.remove()
  })

  describe.each(['nginx', 'caddy'] as const)('%s', (name) => {
    const installed = isInstalled(name)
    let web: WebServer
    beforeAll(async () => {
      if (installed) web = await WEB_SERVERS[name](at(WRITTEN[name]), HOSTS)
    }, 180_000)
    afterAll(() => web?.stop())

    const request = (path: string, init?: RequestInit) =>
      web.handle(new Request(new URL(path.replace(/^\//, ''), planned.latchkey), init))
    const through = {
      request,
      form: (path: string, fields: Record<string, string>) =>
        request(path, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams(fields).toString(),
        }),
    } satisfies Pick<Harness, 'request' | 'form'>
    const homeserver = (path: string, init?: RequestInit) =>
      web.handle(new Request(new URL(`_matrix/client/v3/${path}`, planned.homeserver), init))
    const whoami = async (token: string) =>
      (await homeserver('account/whoami', { headers: { authorization: `Bearer ${token}` } })).json()

    test.skipIf(!installed)('latchkey doctor finds every name, document and route in order', async () => {
      const detours = HOSTS.flatMap((host) => ['--connect-to', `${host}:443:127.0.0.1:${web.port}`])
      const env = { NODE_EXTRA_CA_CERTS: web.caFile }
      const { code, out } = await run(['doctor', '-c', at('config.yaml'), '--json', ...detours], { env })
      const { findings } = JSON.parse(out) as { findings: Finding[] }
      const troubles = findings
        .filter(({ verdict }) => verdict === 'failed' || verdict === 'warning')
        // Caddy's own authority issues for half a day.
        .filter(({ check, verdict }) => !(name === 'caddy' && check === 'tls' && verdict === 'warning'))
      expect(troubles).toEqual([])
      expect(code).toBe(0)
    })

    test.skipIf(!installed)(
      'somebody signs in on the pages, and their app is let in by Synapse',
      async () => {
        const { origin, pathname } = new URL(planned.latchkey)
        const browser = createBrowser(web.handle, { origin })
        const form = await browser.open(`${pathname}login`)
        await form.submit({ username: 'alice', password: PASSWORD })
        const { client_id: clientId } = await registerClient(through)
        const below = { ...browser, open: (path: string) => browser.open(pathname + path.replace(/^\//, '')) }
        const { access_token: token } = await exchange(through, clientId, await obtainCode(below, clientId))
        expect(await whoami(token)).toMatchObject({ user_id: '@alice:example.org' })
      },
    )

    test.skipIf(!installed)('an older client logs in at the homeserver, and out', async () => {
      const json = { 'content-type': 'application/json' }
      const body = {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: 'alice' },
        password: PASSWORD,
      }
      const answer = await homeserver('login', { method: 'POST', headers: json, body: JSON.stringify(body) })
      expect(answer.status).toBe(200)
      const { access_token: token } = (await answer.json()) as { access_token: string }
      expect(await whoami(token)).toMatchObject({ user_id: '@alice:example.org' })
      const authorization = `Bearer ${token}`
      const out = await homeserver('logout', {
        method: 'POST',
        headers: { ...json, authorization },
        body: '{}',
      })
      expect(out.status).toBe(200)
    })

    test.skipIf(!installed)(
      'Synapse keeps its own API: nobody reaches what is for Latchkey and admins',
      async () => {
        for (const path of ['_synapse/mas/query_user?localpart=alice', '_synapse/admin/v1/server_version']) {
          const answer = await web.handle(new Request(new URL(path, planned.homeserver)))
          expect([path, answer.status]).toEqual([path, 404])
        }
      },
    )
  })
})
