import { describe, expect, test } from 'bun:test'
import { ConfigSchema } from '../../src/config/schema.ts'
import { allPaths, shapeOf } from '../../src/config/shape.ts'

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
