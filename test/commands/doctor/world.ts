import { secretsOf } from '../../../src/commands/doctor/doctor.ts'
import { examine } from '../../../src/commands/doctor/examine.ts'
import { type Finding, withoutSecrets } from '../../../src/commands/doctor/finding.ts'
import { createReach, DEADLINE } from '../../../src/commands/doctor/reach.ts'
import { createSite } from '../../../src/commands/doctor/site.ts'
import type { Loaded } from '../../../src/commands/load.ts'
import type { Config } from '../../../src/config/schema.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { selfSigned } from '../../support/certificate.ts'
import { createHarness, type Harness } from '../../support/harness.ts'

export const HOSTS = ['example.org', 'matrix.example.org', 'auth.example.org']

/** The parts of a configuration that a test changes, after it was checked. */
type Change = (config: Config) => Partial<Config>

/** A deployment in this process, on real sockets, whose parts can be broken one by one. */
export interface World {
  harness: Harness
  /** What answers in place of the deployment, by `host/path`. */
  broken: Map<string, () => Response | Promise<Response>>
  /** Makes every check on it, as the doctor does; a server has `deadline` milliseconds for each answer. */
  examine(change?: Change, deadline?: number): Promise<Finding[]>
  /** Shows another certificate from now on: the hosts it names, and the days it is good for. */
  certify(hosts: readonly string[], days: number): Promise<void>
  close(): Promise<void>
}

const JSON_FREE = { headers: { 'access-control-allow-origin': '*' } }

/** Starts it: `example.org`, with Latchkey at `auth.` and a homeserver that takes the secret at `matrix.`. */
export async function createWorld(): Promise<World> {
  const harness = await createHarness({
    start: new Date().toISOString(),
    config: {
      http: {
        public_base: 'https://auth.example.org/',
        listeners: [
          {
            resources: [
              ...['discovery', 'human', 'oauth', 'compat', 'assets', 'adminapi'].map((name) => ({ name })),
              { name: 'well-known', homeserver_base_url: 'https://matrix.example.org/' },
            ] as { name: 'discovery' }[],
            binds: [{ host: 'localhost', port: 8080 }],
          },
        ],
      },
      matrix: { kind: 'synapse', homeserver: 'example.org', endpoint: 'http://synapse.internal/' },
    },
  })
  const broken: World['broken'] = new Map()
  const { homeserver } = harness

  const synapse = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url)
    if (pathname.startsWith('/_synapse/')) return homeserver.fetch(request)
    if (pathname === '/_matrix/client/versions') return Response.json({ versions: ['v1.15'] })
    if (pathname === '/_matrix/client/v1/auth_metadata')
      return harness.request('/.well-known/openid-configuration')
    if (pathname === '/_matrix/client/v3/account/whoami')
      return Response.json({ errcode: 'M_UNKNOWN_TOKEN', error: 'no' }, { status: 401 })
    return Response.json({ errcode: 'M_UNRECOGNIZED', error: 'no' }, { status: 404 })
  }
  const answer = async (request: Request): Promise<Response> => {
    const { pathname, host: written } = new URL(request.url)
    const host = written.replace(/:\d+$/, '')
    const fault = broken.get(`${host}${pathname}`)
    if (fault) return fault()
    const login = /^\/_matrix\/client\/[^/]+\/(login|logout|refresh)(\/|$)/.test(pathname)
    if (host === 'synapse.internal' || (host === 'matrix.example.org' && !login)) return synapse(request)
    if (host === 'example.org' && pathname !== '/.well-known/matrix/client')
      return new Response('a web site', { ...JSON_FREE, status: 404 })
    return harness.app.handle(request)
  }
  // Addresses are those of the names that were asked for, as behind a web server.
  const named = (scheme: string) => (request: Request) => {
    const url = new URL(request.url)
    const { pathname, search } = url
    return answer(new Request(`${scheme}://${request.headers.get('host')}${pathname}${search}`, request))
  }
  let good = await selfSigned(HOSTS, 60)
  const plain = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: named('http') })
  const listen = () => Bun.serve({ hostname: '127.0.0.1', port: 0, tls: good, fetch: named('https') })
  let secure = listen()

  const connects = () =>
    new Map([
      ['synapse.internal:80', { host: '127.0.0.1', port: plain.port ?? 0 }],
      ...HOSTS.map((host): [string, { host: string; port: number }] => [
        `${host}:443`,
        { host: '127.0.0.1', port: secure.port ?? 0 },
      ]),
    ])

  return {
    harness,
    broken,
    async examine(change = () => ({}), deadline = DEADLINE) {
      const { uri } = harness.database
      const usual: Config = { ...harness.deps.config, database: { uri } as NonNullable<Config['database']> }
      const config: Config = { ...usual, ...change(usual) }
      const { signal } = new AbortController()
      const proxyOf = () => undefined
      const reach = createReach({ connects: connects(), proxyOf, signal, ca: good.cert, deadline })
      const parts = { config, reach, clock: systemClock, random: systemRandom, running: true }
      const loaded: Loaded = { config, warnings: [], files: ['config.yaml'], input: {} }
      const findings: Finding[] = []
      const found = (more: Finding[]) => findings.push(...withoutSecrets(more, secretsOf(config)))
      await examine(createSite(parts, undefined), loaded, { signal, found })
      return findings
    },
    async certify(hosts, days) {
      await secure.stop(true)
      good = await selfSigned(hosts, days)
      secure = listen()
    },
    async close() {
      await Promise.all([plain.stop(true), secure.stop(true)])
      await harness.close()
    },
  }
}

/** `check subject verdict` of what is not in order. */
export const troubles = (findings: readonly Finding[]): string[] =>
  findings
    .filter(({ verdict }) => verdict === 'failed' || verdict === 'warning')
    .map(({ check, subject, verdict }) => [check, subject, verdict].filter(Boolean).join(' '))
