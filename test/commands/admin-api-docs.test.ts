import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createBrowser } from '../support/browser.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { approve } from '../support/device.ts'
import { begin, beginReady, endAll, freeAddress, latchkey, MAIN, newFolder } from './support.ts'

setDefaultTimeout(180_000)

const PASSWORD = 'a rather long passphrase 71'
const DOCS = join(import.meta.dirname, '..', '..', 'docs', 'admin-api.md')

let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase

/** Enough of jq for the recipes, where the machine has none: `-r` and a path. */
const JQ = `#!/usr/bin/env bun
const path = process.argv.at(-1)
let values = [JSON.parse(await Bun.stdin.text())]
for (const [, name, index] of path.matchAll(/\\.(\\w+)|\\[(-?\\d*)\\]/g))
  values = values.flatMap((value) => name !== undefined ? [value[name]] : index === '' ? value : [value.at(Number(index))])
for (const value of values) console.log(typeof value === 'string' ? value : JSON.stringify(value))
`

beforeAll(async () => {
  folder = await newFolder()
  address = await freeAddress(['adminapi'])
  database = await createTestDatabase()
  await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })
  await beginReady(['server'], options())
  const register = ['manage', 'register-user', 'alice', '--admin', '--password-stdin']
  expect((await latchkey(register, { ...options(), stdin: PASSWORD })).code).toBe(0)

  const bin = join(folder.path, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'latchkey'), `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`)
  await chmod(join(bin, 'latchkey'), 0o755)
  await writeFile(join(bin, 'bun'), `#!/bin/sh\nexec ${process.execPath} "$@"\n`)
  await chmod(join(bin, 'bun'), 0o755)
  if (Bun.which('jq') === null) {
    await writeFile(join(bin, 'jq'), JQ)
    await chmod(join(bin, 'jq'), 0o755)
  }
  await signIn()
})
afterAll(async () => {
  await endAll()
  await database.drop()
  await folder.remove()
})

const options = () => ({
  cwd: folder.path,
  env: { ...address.env, LATCHKEY_DATABASE__URI: database.uri },
})
const server = () => address.url.replace(/\/$/, '')

/** Once, as the page says: somebody signs in with a browser. */
async function signIn(): Promise<void> {
  const command = begin(['token', '--server', server()], {
    cwd: '/',
    env: { XDG_STATE_HOME: folder.path },
    stdin: '',
  })
  let code: string | undefined
  while (code === undefined) {
    code = /type the code (\S+)/.exec(command.said())?.[1]
    await Bun.sleep(50)
  }
  const browser = createBrowser((request) => fetch(request, { redirect: 'manual' }), { origin: server() })
  await (await browser.open('/login')).submit({ username: 'alice', password: PASSWORD })
  await approve(browser, code)
  expect((await command.ended).code).toBe(0)
}

/** The code blocks of the page, each below its heading. */
async function blocks(): Promise<{ heading: string; code: string }[]> {
  const found: { heading: string; code: string }[] = []
  let heading = ''
  for (const part of (await Bun.file(DOCS).text()).split(/^(?=#+ |```)/m)) {
    if (part.startsWith('#')) heading = part.split('\n')[0] ?? ''
    if (part.startsWith('```sh\n')) found.push({ heading, code: part.slice('```sh\n'.length) })
  }
  return found
}

test('docs/admin-api.md: every recipe works as it is written, one after the other', async () => {
  const recipes = await blocks()
  expect(recipes.length).toBeGreaterThan(10)
  const mark = '=== recipe'
  const script = [
    'set -euo pipefail',
    ...recipes.map(
      ({ code }, index) =>
        `echo '${mark} ${index}'\n${code.replaceAll('https://auth.example.org', server())}`,
    ),
  ].join('\n')
  const bash = Bun.spawn(['bash', '-c', script], {
    cwd: '/',
    env: {
      PATH: `${join(folder.path, 'bin')}:${process.env.PATH}`,
      HOME: folder.path,
      XDG_STATE_HOME: folder.path,
    },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err] = await Promise.all([new Response(bash.stdout).text(), new Response(bash.stderr).text()])
  expect({ code: await bash.exited, err, out: out.slice(-600) }).toEqual({
    code: 0,
    err: '',
    out: out.slice(-600),
  })
  const outputs = out.split(new RegExp(`${mark} \\d+\\n`)).slice(1)
  expect(outputs).toHaveLength(recipes.length)
  const of = (heading: string) =>
    outputs.filter((_, index) => recipes[index]?.heading === `## ${heading}`).join('\n')
  expect(of('A token')).toContain('"version"')
  expect(of('Accounts')).toMatch(/"username":"bea"/)
  expect(of('Accounts')).toMatch(/^bea$/m)
  expect(of('Sessions')).toContain('"dry_run":true')
  expect(of('Invitations')).toMatch(/^[0-9A-Za-z]{12}\n[0-9A-Za-z]{12}\n/)
  expect(of('A token for a bot')).toMatch(/}mpt_\S+\n$/)
  expect(of('When something is refused')).toMatch(/^[a-z_]+\n$/)
  const [bea] =
    await database.sql`select deactivated_at, locked_at from latchkey.users where username = 'bea'`
  expect(bea).toMatchObject({ deactivated_at: expect.any(Date), locked_at: null })
})
