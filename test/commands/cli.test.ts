import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { moduleFile } from '../policy/opa/fixture.ts'
import { latchkey, newFolder } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

let folder: Awaited<ReturnType<typeof newFolder>>
beforeAll(async () => {
  folder = await newFolder()
})
afterAll(() => folder.remove())

const run = (...args: string[]) => latchkey(args, { cwd: folder.path })

const COMMANDS = [
  'start',
  'server',
  'worker',
  'demo',
  'token',
  ...['check', 'generate', 'dump', 'sync', 'schema'].map((name) => `config ${name}`),
  'templates check',
  'debug policy',
  ...['migrate', 'status'].map((name) => `database ${name}`),
  ...[
    'register-user',
    'list-users',
    'show-user',
    'add-email',
    'remove-email',
    'verify-email',
    'issue-compatibility-token',
    'issue-user-registration-token',
    'list-user-registration-tokens',
    'revoke-user-registration-token',
    'set-password',
    'issue-recovery-link',
    'lock-user',
    'unlock-user',
    'deactivate',
    'delete-user',
    'kill-sessions',
    'promote-admin',
    'demote-admin',
    'list-admin-users',
    'provision-all-users',
    'check-homeserver',
    'send-test-mail',
    'list-undelivered-mail',
    'retry-mail',
  ].map((name) => `manage ${name}`),
]

describe('latchkey', () => {
  test.each(COMMANDS)('%s --help: says what it does, with an example', async (command) => {
    const { code, out, err } = await run(...command.split(' '), '--help')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain(`latchkey ${command}`)
    expect(out).toMatch(new RegExp(`Examples?: [^\\n]*latchkey ${command}`))
  })

  test('a command or flag that is not there: says what is meant, exit code 2', async () => {
    const command = await run('serve')
    expect(command.code).toBe(2)
    expect(command.err).toContain('did you mean `server`?')
    const flag = await run('server', '--no-such-thing')
    expect(flag.code).toBe(2)
    expect(flag.err).toContain('--no-such-thing')
    expect((await run('manage', 'lock-user')).code).toBe(2)
  })

  test('--version: the version of package.json', async () => {
    const root = join(import.meta.dirname, '..', '..', 'package.json')
    const { version } = JSON.parse(await readFile(root, 'utf8')) as { version: string }
    expect((await run('--version')).out.trim()).toBe(version)
  })

  test('without a configuration: names what is missing, exit code 1', async () => {
    for (const args of [['server'], ['worker'], ['config', 'check'], ['manage', 'list-admin-users']]) {
      const { code, err } = await run(...args)
      expect({ args, code }).toEqual({ args, code: 1 })
      expect(err).toMatch(/^There is no configuration: .*--config\.\n$/)
    }
  })
})

describe('latchkey config', () => {
  test('generate: prints a configuration that check accepts, with new secrets each time', async () => {
    const first = parse((await run('config', 'generate', '--homeserver', 'example.org')).out)
    const second = parse((await run('config', 'generate')).out)
    expect(first.matrix.homeserver).toBe('example.org')
    expect(first.secrets.encryption).toMatch(/^[0-9a-f]{64}$/)
    expect(first.secrets.encryption).not.toBe(second.secrets.encryption)
  })

  test('generate -o: mode 0600, never over a file that is there', async () => {
    expect((await run('config', 'generate', '-o', 'new.yaml')).code).toBe(0)
    const path = join(folder.path, 'new.yaml')
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe('600')
    const text = await readFile(path, 'utf8')
    const again = await run('config', 'generate', '-o', 'new.yaml')
    expect(again.code).toBe(1)
    expect(again.err).toMatch(/^new\.yaml exists already/)
    expect(await readFile(path, 'utf8')).toBe(text)
    const check = await run('config', 'check', '-c', 'new.yaml')
    expect(check).toMatchObject({ code: 0, err: '' })
    expect(check.out).toBe('The configuration can be used: new.yaml.\n')
  })

  test('check: every problem on a line of its own, exit code 1, no secret shown', async () => {
    await Bun.write(
      join(folder.path, 'broken.yaml'),
      'matrix:\n  secrt: my-secret-value\n  kind: dendrite\nsecrets:\n  encryption: my-secret-value\n',
    )
    const { code, out, err } = await run('config', 'check', '-c', 'broken.yaml')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err.trimEnd().split('\n').length).toBeGreaterThan(2)
    expect(err).toMatch(/secrt/)
    expect(err).not.toContain('my-secret-value')
  })

  test('check: a signing key that can not be used', async () => {
    const text = await readFile(join(folder.path, 'new.yaml'), 'utf8')
    await Bun.write(
      join(folder.path, 'keys.yaml'),
      text.replace(/-----BEGIN[^-]*-----/, '-----BEGIN NONSENSE-----'),
    )
    const { code, err } = await run('config', 'check', '-c', 'keys.yaml')
    expect(code).toBe(1)
    expect(err).toMatch(/key 1/i)
    expect(err).not.toMatch(/^\s+at /m)
  })

  test('check: own pages and texts, each shown once; what is wrong is told with its file and line', async () => {
    const text = await readFile(join(folder.path, 'new.yaml'), 'utf8')
    const check = async (templates: string) => {
      await Bun.write(join(folder.path, 'texts.yaml'), `${text}\ntemplates: { ${templates} }\n`)
      return run('config', 'check', '-c', 'texts.yaml')
    }
    const put = (name: string, source: string) => Bun.write(join(folder.path, name), source)
    await put(
      'own/pages/not_found.html',
      "{% extends 'layouts/base.html' %}{% block main %}Hm.{% endblock %}",
    )
    expect(await check('overlay_path: own')).toMatchObject({ code: 0, err: '' })
    await put('own/pages/not_found.html', '<p>\n{{ no_such_thing }}\n')
    expect((await check('overlay_path: own')).err).toBe(
      'templates.overlay_path: own/pages/not_found.html, line 2: undefined value.\n',
    )
    await put('own/pages/not_found.html', "{% include 'partials/lost.html' %}")
    expect((await check('overlay_path: own')).err).toMatch(
      /^templates\.overlay_path: own\/pages\/not_found\.html, line 1: .*partials\/lost\.html.*\.\n$/,
    )
    expect((await check('overlay_path: elsewhere')).err).toBe(
      "templates.overlay_path: elsewhere can't be read (ENOENT).\n",
    )
    await put('texts/de.json', '{')
    expect((await check('translations_overlay_path: texts')).err).toMatch(
      /^templates\.translations_overlay_path: texts\/de\.json: is not JSON \(.*\)\.\n$/,
    )
    await put('texts/de.json', '{ "login.title": "{" }')
    expect((await check('translations_overlay_path: texts')).err).toMatch(
      /^templates\.translations_overlay_path: texts\/de\.json, line 1: the message login\.title is not in ICU MessageFormat \(.*\)\.\n$/,
    )
  })

  test("check: the operator's own policy module, used or not", async () => {
    const text = await readFile(join(folder.path, 'new.yaml'), 'utf8')
    const check = async (path: string) => {
      await Bun.write(join(folder.path, 'module.yaml'), `${text}\npolicy: { wasm_module: ${path} }\n`)
      return run('config', 'check', '-c', 'module.yaml')
    }
    expect(await check(await moduleFile())).toMatchObject({ code: 0, err: '' })
    const broken = await check(await moduleFile({ entrypoints: [] }))
    expect(broken.code).toBe(1)
    expect(broken.err).toMatch(/^policy\.wasm_module: .* has no entry point \S+; it has none\.\n$/)
    const missing = await check('/nowhere.wasm')
    expect(missing.err).toBe(
      "policy.wasm_module: /nowhere.wasm can't be used: the file can't be read (ENOENT).\n",
    )
    expect((await run('debug', 'policy', '-c', 'module.yaml')).err).toBe(missing.err)
    await check(await moduleFile())
    const debug = await run('debug', 'policy', '-c', 'module.yaml')
    expect(debug).toMatchObject({ code: 0, err: '' })
    expect(debug.out).toMatch(
      /^\S+ decides; it has the entry points register\/violation, .*compat_login\/violation\.\n/,
    )
  })

  test('schema: a JSON Schema with every section', async () => {
    const schema = JSON.parse((await run('config', 'schema')).out)
    expect(Object.keys(schema.properties)).toContain('matrix')
    expect(schema.$schema).toContain('json-schema.org')
  })
})
