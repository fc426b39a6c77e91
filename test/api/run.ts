/** `bun run test:api`: tools of other people read the admin API's document and try what it says. See README.md. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findUser } from '../../sql/users.ts'
import { adminOf, makeUser, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { installed, installedPython, run } from '../support/installed.ts'
import { signedInApp } from '../support/oauth.ts'

const { values: options } = parseArgs({
  options: {
    /** Only this part: client, schemathesis. */
    only: { type: 'string' },
    /** Random requests of each operation, besides those that the document itself leads to. */
    examples: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
  },
})

/** What the tool sends; the server puts a good token in its place. */
const ALIAS = 'schemathesis'
const SCHEMATHESIS = ['schemathesis==4.32.5']
/** TypeScript of its own: openapi-typescript does not work with that of the project. */
const TYPESCRIPT_CLIENT = ['openapi-typescript@7.13.0', 'openapi-fetch@0.17.0', 'typescript@5.9.3']

/** What a program may write: right calls, and wrong ones that must not compile. */
const PROGRAM = `
import createClient from 'openapi-fetch'
import type { paths } from './schema.d.ts'

const api = createClient<paths>({ baseUrl: 'http://localhost:8080' })
const { data, error } = await api.GET('/api/admin/v1/users', {
  params: { query: { 'filter[status]': 'active', 'page[first]': 10 } },
})
for (const user of data?.data ?? []) {
  const name: string = user.attributes.username
  const locked: string | null = user.attributes.locked_at
  console.log(name, locked, user.meta.page.cursor)
}
const code: string | undefined = error?.errors[0]?.code
const made = await api.POST('/api/admin/v1/users', { body: { username: 'alice' } })
console.log(code, made.data?.data.id)
// @ts-expect-error a filter with a value that it has not
await api.GET('/api/admin/v1/users', { params: { query: { 'filter[status]': 'sleeping' } } })
// @ts-expect-error a body without what it must have
await api.POST('/api/admin/v1/users', { body: {} })
// @ts-expect-error a path that there is not
await api.GET('/api/admin/v1/nothing')
`

const directory = await mkdtemp(join(tmpdir(), 'latchkey-api-'))
const harness = await createHarness()

/** Makes a typed client of the document and compiles a program that uses it. @throws Error with what the compiler said */
async function compileClient(document: string): Promise<void> {
  const home = await installed('openapi-typescript-7.13.0', async (partial) => {
    await Bun.write(join(partial, 'package.json'), '{ "private": true, "type": "module" }\n')
    await run([process.execPath, 'add', '--ignore-scripts', '--exact', ...TYPESCRIPT_CLIENT], partial)
  })
  const types = join(directory, 'schema.d.ts')
  await run([
    'node',
    join(home, 'node_modules', 'openapi-typescript', 'bin', 'cli.js'),
    document,
    '-o',
    types,
  ])
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
  await writeFile(join(directory, 'program.ts'), PROGRAM)
  await writeFile(
    join(directory, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        module: 'nodenext',
        target: 'es2022',
        lib: ['es2022', 'dom', 'dom.iterable'],
        types: [],
        paths: { 'openapi-fetch': [join(home, 'node_modules', 'openapi-fetch', 'dist', 'index.d.mts')] },
      },
      files: ['program.ts', 'schema.d.ts'],
    }),
  )
  const tsc = join(home, 'node_modules', 'typescript', 'bin', 'tsc')
  const compiled = Bun.spawnSync(['node', tsc, '-p', directory], { stdout: 'pipe', stderr: 'pipe' })
  if (compiled.exitCode !== 0) throw new Error(`The typed client does not compile:\n${compiled.stdout}`)
  console.log('A typed client of the document compiles, and refuses what the document does not have.')
}

/** Lets schemathesis try every operation; true when it found nothing. */
async function runSchemathesis(document: string): Promise<boolean> {
  const python = await installedPython(SCHEMATHESIS)
  await signedInApp(harness, 'alice')
  const server = serve(await tokens(harness))
  const command = [
    ...[python, '-c', 'from schemathesis.cli import schemathesis; schemathesis()', 'run', document],
    ...['--url', `http://127.0.0.1:${server.port}`, '-H', `Authorization: Bearer ${ALIAS}`],
    ...['--phases', 'examples,coverage,fuzzing', '--max-examples', options.examples, '--seed', options.seed],
    // A schema cannot say that an address is free, or that two members exclude each other.
    ...['--exclude-checks', 'positive_data_acceptance', '--no-color'],
  ]
  const child = Bun.spawn(command, {
    cwd: directory,
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
    timeout: 600_000,
  })
  const code = await child.exited
  await server.stop(true)
  const errors = harness.logged.filter(({ level }) => level === 'error')
  for (const { event, fields } of errors) console.error(event, fields)
  return code === 0 && errors.length === 0
}

/** Good tokens, one after the other: the tool tries what it finds, also on those who act for it. */
async function tokens({ deps }: Harness): Promise<{ current: string; renew(): Promise<void> }> {
  let count = 0
  const first = await adminOf(harness)
  const good = {
    current: await personalToken(harness, first.uuid, ['urn:mas:admin']),
    async renew() {
      const { uuid } = await makeUser(harness, `tester${++count}`, { isAdmin: true })
      const [user] = await findUser(deps.sql, uuid)
      if (user) good.current = await personalToken(harness, user.id, ['urn:mas:admin'])
    },
  }
  return good
}

/** Serves the API on loopback. */
function serve(good: Awaited<ReturnType<typeof tokens>>) {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request): Promise<Response> {
      const url = new URL(request.url)
      const address = new URL(url.pathname + url.search, harness.origin)
      const body = request.body ? await request.arrayBuffer() : undefined
      const ask = () => {
        const headers = new Headers(request.headers)
        if (headers.get('authorization') === `Bearer ${ALIAS}`)
          headers.set('authorization', `Bearer ${good.current}`)
        return harness.app.handle(
          new Request(address, { method: request.method, headers, ...(body && { body }) }),
        )
      }
      const response = await ask()
      if (response.status !== 401 || request.headers.get('authorization') !== `Bearer ${ALIAS}`)
        return response
      await good.renew()
      return ask()
    },
  })
  return server
}

let failed = false
try {
  const document = join(directory, 'spec.json')
  await writeFile(document, await (await harness.request('/api/spec.json')).text())
  if (options.only !== 'schemathesis') await compileClient(document)
  if (options.only !== 'client') failed = !(await runSchemathesis(document))
} finally {
  await harness.close()
  await rm(directory, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)
