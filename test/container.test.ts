import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { healthTarget } from '../src/commands/health.ts'
import { load, PEM } from './config/support.ts'

const ROOT = join(import.meta.dirname, '..')
const read = (path: string) => Bun.file(join(ROOT, path)).text()

/** What is written of Kubernetes' objects here. */
interface Manifest {
  kind: string
  metadata: { name: string }
  data?: Record<string, string>
  stringData?: Record<string, string>
  spec?: unknown
}
interface Container {
  args: string[]
  env: { name: string; value: string }[]
  ports?: { name: string; containerPort: number }[]
  volumeMounts: { name: string; mountPath: string }[]
  securityContext: object
}
interface Pod {
  terminationGracePeriodSeconds: number
  securityContext: { runAsNonRoot: boolean; runAsUser: number }
  initContainers: Container[]
  containers: Container[]
}

describe('Dockerfile', () => {
  test('what it copies is there, and what the program reads is copied', async () => {
    const text = await read('Dockerfile')
    const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    )
    for (const name of copied) expect([name, existsSync(join(ROOT, name))]).toEqual([name, true])
    expect(copied).toEqual(
      expect.arrayContaining(['package.json', 'bun.lock', 'patches', 'sql', 'views', 'src']),
    )
  })

  test('it runs as an ordinary user by number, with the Bun of package.json', async () => {
    const text = await read('Dockerfile')
    const { devDependencies } = JSON.parse(await read('package.json'))
    expect(text).toMatch(/^USER 1000:1000$/m)
    for (const [, version] of text.matchAll(/^FROM oven\/bun:(\S+?)-slim/gm))
      expect(version).toBe(devDependencies.bun)
  })

  test('the engine asks after its health by the command that the program has', async () => {
    const [, command = ''] = /^HEALTHCHECK .*CMD (\[.*\])$/m.exec(await read('Dockerfile')) ?? []
    expect(JSON.parse(command)).toEqual(['bun', 'src/main.ts', 'health'])
  })

  test('what it removes from the packages is nothing that the program asks for', async () => {
    const [, names = ''] = /rm -rf (.+)$/m.exec(await read('Dockerfile')) ?? []
    const { dependencies } = JSON.parse(await read('package.json'))
    for (const name of names.split(' ')) expect(dependencies).not.toHaveProperty([name])
  })
})

describe('docs/container/kubernetes.yaml', async () => {
  const manifests = parseAllDocuments(await read('docs/container/kubernetes.yaml')).map(
    (document) => document.toJS({ maxAliasCount: 100 }) as Manifest,
  )
  const find = (kind: string) => {
    const found = manifests.find((manifest) => manifest.kind === kind)
    if (!found) throw new Error(`no ${kind}`)
    return found
  }
  const { spec } = find('Deployment')
  const { replicas, template } = spec as { replicas: number; template: { spec: Pod } }
  const [container] = template.spec.containers
  const [migrate] = template.spec.initContainers
  if (!container || !migrate) throw new Error('no container')

  test('two replicas, and the first thing that each does is to migrate', () => {
    expect(replicas).toBe(2)
    expect([migrate.args, container.args]).toEqual([
      ['database', 'migrate'],
      ['server', '--no-migrate'],
    ])
  })

  test('the configuration and the variables are valid, with the files that the Secret mounts', async () => {
    const secret: Record<string, string> = { ...find('Secret').stringData, 'signing-key.pem': PEM }
    const mounted = Object.entries(secret).map(([name, text]) => [`/etc/latchkey-secrets/${name}`, text])
    const files = {
      '/etc/latchkey/config.yaml': find('ConfigMap').data?.['config.yaml'] ?? '',
      ...Object.fromEntries(mounted),
    }
    const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]))
    const { config, warnings } = await load(files, env, ['/etc/latchkey/config.yaml'])
    expect(warnings).toEqual([])
    expect(config.database?.uri).toBe(secret['database-uri'] ?? '')
    expect(config.matrix.secret).toBe(secret['matrix-secret'] ?? '')
    expect(container.env).toEqual(migrate.env)
    const ports = container.ports?.map(({ containerPort }) => containerPort)
    const binds = config.http.listeners.flatMap((listener) => listener.binds)
    expect(binds).toEqual((ports ?? []).map((port) => ({ port })))
    expect(healthTarget(config)?.url).toBe('http://localhost:8081/health')
  })

  test('nothing runs as root, writes, or has more time to stop than it is given', () => {
    expect(template.spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 })
    for (const { securityContext } of [container, migrate])
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    // 5 seconds of preStop and 20 of ours.
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(25)
  })
})

describe('docs/container/compose.yaml', () => {
  test('the server waits for the migrations, is read-only, on loopback, and has time to stop', async () => {
    const { services } = parse(await read('docs/container/compose.yaml'), { merge: true })
    expect(services.migrate.command).toEqual(['database', 'migrate'])
    expect(services.latchkey).toMatchObject({
      command: ['server', '--no-migrate'],
      depends_on: { migrate: { condition: 'service_completed_successfully' } },
      ports: ['127.0.0.1:8080:8080'],
      read_only: true,
      stop_grace_period: '30s',
    })
    expect(services.latchkey.volumes).toEqual(services.migrate.volumes)
  })
})
