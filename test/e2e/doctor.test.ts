import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { Stack } from '../../src/commands/demo/demo.ts'
import type { Finding } from '../../src/commands/doctor/finding.ts'
import { checkHomeserver, checkSecretIn, checkSecretOut } from '../../src/commands/doctor/homeserver.ts'
import { createReach } from '../../src/commands/doctor/reach.ts'
import { createSite } from '../../src/commands/doctor/site.ts'
import { syncClients } from '../../src/commands/static-clients.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { fetchLocal } from '../../src/http/outgoing.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { latchkey } from '../commands/support.ts'
import { selfSigned } from '../support/certificate.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { SYNAPSE_START_MS, startTestSynapse, type TestSynapse } from '../support/synapse.ts'
import { startTestStack } from './stack.ts'

interface Report {
  healthy: boolean
  summary: Record<string, number>
  findings: Finding[]
}

let stack: Stack
let config: ConfigInput
/** https://localhost/ of the deployment, in front of its web server. */
let domain: { port: number; stop(): Promise<void> }
let certificate: string

beforeAll(async () => {
  stack = await startTestStack()
  config = parse(await readFile(stack.configPath, 'utf8'))
  const { cert, key } = await selfSigned('localhost', 60)
  certificate = join(dirname(stack.configPath), 'authority.pem')
  await Bun.write(certificate, cert)
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url)
      if (request.headers.has('x-latchkey-test')) return new Response(null, { status: 404 })
      const answer = await fetchLocal(new URL(pathname + search, stack.frontUrl))
      // It was decoded on the way.
      return new Response(await answer.text(), {
        status: answer.status,
        headers: {
          'content-type': answer.headers.get('content-type') ?? '',
          'access-control-allow-origin': '*',
        },
      })
    },
  })
  domain = { port: server.port ?? 0, stop: () => server.stop(true) }
}, 240_000)
afterAll(async () => {
  await domain?.stop()
  await stack?.stop()
})

/** Runs the doctor, with `change` made to a copy of the configuration; its outcome must have no secret in it. */
async function examine(options: { change?: (config: ConfigInput) => void; args?: string[] } = {}) {
  const copy = structuredClone(config)
  options.change?.(copy)
  const path = join(dirname(stack.configPath), 'looked-at.yaml')
  await Bun.write(path, stringify(copy))
  const args = options.args ?? ['--connect-to', `localhost:443:127.0.0.1:${domain.port}`]
  const cwd = dirname(stack.configPath)
  const env = { NODE_EXTRA_CA_CERTS: certificate }
  const { code, out, err } = await latchkey(['doctor', '-c', path, '--json', ...args], { cwd, env })
  for (const secret of [stack.secret, copy.matrix?.secret, copy.secrets?.encryption])
    expect(out + err).not.toContain(String(secret))
  expect(out + err).not.toContain('PRIVATE KEY')
  return { code, report: JSON.parse(out) as Report }
}

/** `check verdict` of what is not in order. */
const troubles = ({ findings }: Report): string[] =>
  findings
    .filter(({ verdict }) => verdict === 'failed' || verdict === 'warning')
    .map(({ check, subject, verdict }) => [check, subject, verdict].filter(Boolean).join(' '))

const find = ({ findings }: Report, check: string) => findings.find((finding) => finding.check === check)

describe('latchkey doctor, on a deployment with Synapse', () => {
  test('finds everything in order, and says which address is for this machine alone', async () => {
    const { code, report } = await examine()
    expect(troubles(report)).toEqual(['address warning'])
    expect({ code, healthy: report.healthy }).toEqual({ code: 0, healthy: true })
    const checks = new Set(report.findings.map(({ check }) => check))
    expect([...checks]).toEqual([
      'config',
      'address',
      'dns',
      'tls',
      'well_known',
      'discovery',
      'homeserver',
      'auth_metadata',
      'secret_to_homeserver',
      'secret_from_homeserver',
      'legacy_routes',
      'admin_api',
      'mail',
      'database',
      'clock',
      'keys',
      'queue',
    ])
  })

  test('a secret that the homeserver does not take is found, with the lines to paste', async () => {
    const { code, report } = await examine({
      change: ({ matrix }) => {
        if (matrix) matrix.secret = 'another secret than that of Synapse'
      },
    })
    expect(troubles(report)).toEqual(['address warning', 'secret_to_homeserver failed'])
    expect(find(report, 'secret_to_homeserver')?.paste?.into).toBe('homeserver.yaml')
    expect(code).toBe(1)
  })

  test('an issuer that is not the one that runs is found at discovery, at Synapse and in the document', async () => {
    const { code, report } = await examine({
      change: ({ http }) => {
        if (http) http.issuer = `${stack.latchkeyUrl}/elsewhere/`
      },
    })
    expect(troubles(report)).toEqual([
      'address warning',
      'well_known failed',
      'discovery failed',
      'auth_metadata failed',
      'secret_from_homeserver failed',
    ])
    expect(code).toBe(1)
  })

  test('login routes that go to Synapse are found (wrong proxy route)', async () => {
    const { code, report } = await examine({
      args: ['--homeserver-url', stack.synapseUrl, '--connect-to', `localhost:443:127.0.0.1:${domain.port}`],
    })
    expect(troubles(report)).toEqual([
      'address warning',
      'legacy_routes GET v3/login failed',
      'legacy_routes GET r0/login failed',
      'legacy_routes POST logout failed',
      'legacy_routes POST refresh failed',
      'legacy_routes GET login/sso/redirect failed',
    ])
    const { paste } = find(report, 'legacy_routes') ?? {}
    expect(paste?.lines[0]).toBe('location ~ ^/_matrix/client/[^/]+/(login|logout|refresh)(/|$) {')
    expect(code).toBe(1)
  })

  test('a homeserver that is away is one finding, and no other check fails for it', async () => {
    const { report } = await examine({
      change: ({ matrix }) => {
        if (matrix) matrix.endpoint = 'http://127.0.0.1:9/'
      },
    })
    expect(troubles(report)).toEqual(['address warning', 'secret_to_homeserver failed'])
    expect(find(report, 'secret_from_homeserver')?.verdict).toBe('skipped')
  })

  test('a database that is away is one finding, and what needs it is skipped', async () => {
    const { code, report } = await examine({
      change: (copy) => {
        copy.database = { uri: 'postgresql://latchkey:database-password@127.0.0.1:9/latchkey' }
      },
    })
    expect(troubles(report)).toEqual(['address warning', 'database failed'])
    for (const check of ['clock', 'keys', 'queue']) expect(find(report, check)?.verdict).toBe('skipped')
    expect(JSON.stringify(report)).not.toContain('database-password')
    expect(code).toBe(1)
  })

  test('a configuration that can not be read is a finding too', async () => {
    const { code, report } = await examine({
      change: (copy) => {
        Object.assign(copy, { htttp: {} })
      },
    })
    expect(report.findings).toHaveLength(1)
    expect(find(report, 'config')?.reason).toContain('htttp')
    expect(code).toBe(1)
  })
})

describe('latchkey doctor, where Synapse has another secret than Latchkey', () => {
  let harness: Harness
  let synapse: TestSynapse
  let server: Bun.Server<undefined>
  beforeAll(async () => {
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request) => harness?.app.handle(request) ?? new Response(null, { status: 503 }),
    })
    synapse = await startTestSynapse({ latchkeyUrl: server.url.href, secret: 'secret-of-synapse' })
    harness = await createHarness({
      config: {
        matrix: {
          kind: 'synapse',
          homeserver: synapse.serverName,
          endpoint: synapse.url,
          secret: 'secret-of-latchkey',
        },
      },
    })
  }, SYNAPSE_START_MS)
  afterAll(async () => {
    await synapse?.stop()
    await server?.stop(true)
    await harness?.close()
  })

  test('both directions say so: Synapse refuses us, and is refused by us', async () => {
    const { port = 0 } = server
    const connects = new Map([[`${new URL(harness.origin).hostname}:80`, { host: '127.0.0.1', port }]])
    const { signal } = new AbortController()
    const reach = createReach({ connects, proxyOf: () => undefined, signal })
    const site = createSite(
      { config: harness.deps.config, reach, clock: systemClock, random: systemRandom, running: true },
      undefined,
    )
    const [out] = await checkSecretOut(site)
    expect(out?.verdict).toBe('failed')
    expect(out?.reason).toContain('refuses Latchkey')
    const [incoming] = await checkSecretIn(site)
    expect(incoming?.verdict).toBe('failed')
    expect(incoming?.reason).toContain('its secret is another one')
  })
})

describe('latchkey doctor, on a Synapse of the time before 1.136', () => {
  const SECRET = 'admin-token-of-synapse'
  const client = { id: '0000000000000000000SYNAPSE', secret: 'client-secret-of-synapse' }
  let harness: Harness
  let synapse: TestSynapse
  let server: Bun.Server<undefined>
  beforeAll(async () => {
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request) => harness?.app.handle(request) ?? new Response(null, { status: 503 }),
    })
    // Synapse takes the document only from the issuer that it knows.
    synapse = await startTestSynapse({ latchkeyUrl: server.url.href, secret: SECRET, legacyClient: client })
    const { serverName: homeserver, url: endpoint } = synapse
    harness = await createHarness({
      config: {
        http: { public_base: server.url.href },
        matrix: { kind: 'synapse_legacy', homeserver, endpoint, secret: SECRET },
        clients: [
          { client_id: client.id, client_auth_method: 'client_secret_basic', client_secret: client.secret },
        ],
      },
    })
    await syncClients(harness.deps)
  }, SYNAPSE_START_MS)
  afterAll(async () => {
    await synapse?.stop()
    await server?.stop(true)
    await harness?.close()
  })
  const siteOf = (secret: string) => {
    const { signal } = new AbortController()
    const reach = createReach({ connects: new Map(), proxyOf: () => undefined, signal })
    const { config } = harness.deps
    const parts = { reach, clock: systemClock, random: systemRandom, running: true }
    const matrix = { ...config.matrix, secret }
    return createSite({ ...parts, config: { ...config, matrix } }, new URL(`${synapse.url}/`))
  }

  test('the homeserver, its document and the secret in both directions are in order', async () => {
    const site = siteOf(SECRET)
    const findings = [
      ...(await checkHomeserver(site)),
      ...(await checkSecretOut(site)),
      ...(await checkSecretIn(site)),
    ]
    expect(findings.map(({ check, verdict, reason }) => [check, verdict === 'ok' || reason])).toEqual([
      ['homeserver', true],
      ['auth_metadata', true],
      ['secret_to_homeserver', true],
      ['secret_from_homeserver', true],
    ])
  })

  test('another secret than the admin token is refused, and said to be it', async () => {
    const [out] = await checkSecretOut(siteOf('another-secret'))
    expect(out?.verdict).toBe('failed')
    expect(out?.mend).toContain('admin_token')
  })
})
