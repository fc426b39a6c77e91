import { describe, expect, test } from 'bun:test'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OPERATIONS } from '../../src/admin/operations.ts'
import { ConfigSchema } from '../../src/config/schema.ts'
import { allPaths, shapeOf } from '../../src/config/shape.ts'
import { scopesFor } from '../../src/lib/admin-scope.ts'
import { samples } from '../../src/render/samples.ts'
import { mailSamples } from '../../src/render/samples-mail.ts'

const docs = await Bun.file(new URL('../../docs/configuration.md', import.meta.url)).text()

// Described once for all of them, in the text of their section.
const REPEATED = /\.(literals|substrings|regexes|prefixes|suffixes|burst|per_second)$/

describe('docs/configuration.md', () => {
  for (const [path, schema] of allPaths(ConfigSchema)) {
    const group = shapeOf(schema).kind === 'fields'
    if (group || REPEATED.test(path)) continue
    test(`${path}: is explained, with its default`, () => {
      const heading = path.includes('.') ? `| \`${path}\` | ` : `### \`${path}\``
      const row = docs.split('\n').find((line) => line.startsWith(heading))
      expect(row).toBeDefined()
      const simple = ['string', 'number', 'boolean'].includes(typeof schema.default)
      if (simple) expect(row).toContain(`| \`${schema.default}\` |`)
    })
  }
})

test('docs/admin-api.md: the table at the end has every operation (UPDATE=1 rewrites it)', async () => {
  const path = new URL('../../docs/admin-api.md', import.meta.url)
  const text = await Bun.file(path).text()
  const begin = text.indexOf('| operation |')
  const rows = OPERATIONS.map((operation) => {
    const narrowest = scopesFor(operation)[1]
    const scope = narrowest === undefined ? 'urn:mas:admin' : narrowest.replace('urn:latchkey:admin:', '…:')
    return `| \`${operation.method} ${operation.path}\` | ${operation.summary} | \`${scope}\` |`
  })
  const table = ['| operation | what it does | scope |', '| --- | --- | --- |', ...rows].join('\n')
  if (process.env.UPDATE)
    await Bun.write(path, `${text.slice(0, begin === -1 ? undefined : begin)}${table}\n`)
  else expect(text.slice(begin)).toBe(`${table}\n`)
})

const ROOT = join(import.meta.dirname, '..', '..')
const REFERENCE = /`(test\/[\w/.-]+\.test\.ts)` “([^”]+)”/g

test('docs/security.md: every test that it names exists, and every row of the threat model has one or says why not', async () => {
  const text = await readFile(join(ROOT, 'docs', 'security.md'), 'utf8')
  const model = text.slice(text.indexOf('## The threat model'), text.indexOf('## Reporting'))
  const sources = new Map<string, string>()
  const missing: string[] = []
  let named = 0
  for (const [, path = '', name = ''] of text.matchAll(REFERENCE)) {
    named++
    const source = sources.get(path) ?? (await readFile(join(ROOT, path), 'utf8').catch(() => ''))
    sources.set(path, source)
    // As it stands between quotes: that of a test or of a group of tests, which may have holes to fill.
    const quoted = [`'${name}'`, `"${name}"`, `\`${name}\``]
    if (!quoted.some((one) => source.includes(one))) missing.push(`${path}: ${name}`)
  }
  expect(missing).toEqual([])
  expect(named).toBeGreaterThan(150)
  const rows = model
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (Section|Attacker|---)/.test(line))
  const bare = rows.filter(
    (row) => !/“|not covered \||nothing to test \|/.test(row) && !row.startsWith('| | What'),
  )
  expect(rows.length).toBeGreaterThan(100)
  expect(bare).toEqual([])
})

test('docs/images/pages: every page and mail has its pictures there (bun run pictures --only NAME)', async () => {
  const directory = join(ROOT, 'docs', 'images', 'pages')
  const index = await readFile(join(directory, 'README.md'), 'utf8')
  const shown = [...index.matchAll(/^!\[.*\]\((.+)\.webp\)$/gm)].map(([, name]) => name)
  const files = (await readdir(directory)).filter((file) => file.endsWith('.webp'))
  const views = [...Object.keys(samples), ...Object.keys(mailSamples).map((name) => `mail-${name}`)].sort()
  expect(shown.sort()).toEqual(views)
  expect(files.map((file) => file.replace('.webp', '')).sort()).toEqual(views)
})
