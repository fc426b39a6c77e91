import { describe, expect, test } from 'bun:test'
import { parse } from 'yaml'
import { isMapping } from '../../src/config/validate.ts'
import { createClaimTemplates } from '../../src/render/claim-templates.ts'
import { withMinimal } from './support.ts'

const page = await Bun.file(new URL('../../docs/upstream.md', import.meta.url)).text()
/** The recipes by their headings. */
const recipes = [...page.matchAll(/##+ ([^\n]+)\n(?:(?!\n##)[\s\S])*?```yaml\n([\s\S]*?)```/g)].map(
  ([, name = '', text = '']) => ({ name, text }),
)
const FILES = { '/etc/latchkey/sso-secret': 'secret', '/etc/latchkey/apple.p8': 'key' }

/** The texts of a value of YAML that are templates. */
function templatesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(templatesIn)
  if (!isMapping(value)) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'template' && typeof inner === 'string' ? [inner] : templatesIn(inner),
  )
}

describe('docs/upstream.md', () => {
  test('has a recipe for each of them', () => {
    expect(recipes.map(({ name }) => name)).toEqual([
      'For organisations',
      'Keycloak',
      'Entra ID',
      'Google',
      'GitHub',
      'GitLab',
      'Apple',
      'Authentik',
      'Dex',
    ])
  })

  for (const { name, text } of recipes)
    test(`${name}: loads without a warning, and its templates render`, async () => {
      const { config, warnings } = await withMinimal(text, FILES)
      expect(warnings.filter((warning) => warning.includes('upstream'))).toEqual([])
      expect(config.upstream_oauth2.providers).toHaveLength(1)
      const templates = createClaimTemplates()
      const values = {
        user: {
          sub: '1',
          oid: '1',
          id: 1,
          login: 'ada',
          nickname: 'ada',
          preferred_username: 'ada@example.com',
          email: 'ada@example.com',
          hd: 'example.com',
          groups: ['matrix'],
        },
        extra_callback_parameters: { user: '{"name":{"firstName":"Ada","lastName":"Byron"}}' },
      }
      for (const template of templatesIn(parse(text))) expect(templates.render(template, values)).toBeString()
      const { allow_if } = config.upstream_oauth2.providers[0] ?? {}
      if (allow_if !== undefined) expect(templates.holds(allow_if, values)).toBe(true)
    })
})
