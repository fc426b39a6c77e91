/**
 * Latchkey as `latchkey server` runs it, and beside it, in the same process and on the same pool, the routes that
 * it is measured against. Arguments: the configuration file, the port of those routes. Prints `ready`.
 */
import { readdir, readFile } from 'node:fs/promises'
import { Elysia } from 'elysia'
import { loadConfig } from '../../src/config/load.ts'
import { createDeps } from '../../src/deps.ts'
import { newId } from '../../src/lib/ulid.ts'
import { listen } from '../../src/server.ts'
import { createLog } from '../../src/telemetry/log.ts'

const [, , file = '', port = '0'] = process.argv
const { config } = await loadConfig({
  files: [file],
  env: {},
  readFile: (path) => readFile(path),
  readDir: (path) => readdir(path),
})
const log = createLog({ json: true, level: 'info' })
const { deps } = await createDeps({ config, database: { uri: config.database?.uri ?? '' }, log })
const servers = await listen(deps)
const { sql, clock, random } = deps

const password = 'correct horse battery staple 42'
let stored: ReturnType<typeof deps.passwords.hash> | undefined

const router = new Elysia({ strictPath: true })
  .get(
    '/select/:id',
    async ({ params }) => {
      const [row] = await sql`select id, username, created_at from latchkey.users where id = ${params.id}`
      return new Response(JSON.stringify(row), { headers: { 'content-type': 'application/json' } })
    },
    { parse: 'none' },
  )
  .post(
    '/insert',
    async () => {
      const now = clock.now()
      const id = newId(now, random)
      await sql`insert into bench.rows (id, created_at) values (${id}, ${now})`
      return new Response(JSON.stringify({ id }), { headers: { 'content-type': 'application/json' } })
    },
    { parse: 'none' },
  )
  .get(
    '/hash',
    async () => {
      stored ??= deps.passwords.hash(password)
      const verdict = await deps.passwords.verify(password, await stored)
      return new Response(JSON.stringify(verdict), { headers: { 'content-type': 'application/json' } })
    },
    { parse: 'none' },
  )
  .compile()
const baselines = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  fetch: router.fetch,
  ...({ http2: true } as object),
})

const flushing = setInterval(() => void deps.activity.flush(), 60_000)
process.on('SIGTERM', async () => {
  clearInterval(flushing)
  await Promise.all([servers.stop(1000), baselines.stop(true)])
  await deps.jobs.stop()
  await deps.sql.end({ timeout: 1 })
  process.exit()
})
console.log('ready')
