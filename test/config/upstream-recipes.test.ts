import { describe, expect, test } from 'bun:test'
import { createClaimTemplates } from '../../src/render/claim-templates.ts'
import { claimValue, holds, importClaims, valuesOf } from '../../src/upstream/claims.ts'
import { withMinimal } from './support.ts'

const page = await Bun.file(new URL('../../docs/upstream.md', import.meta.url)).text()
/** The recipes by their headings. */
const recipes = [...page.matchAll(/##+ ([^\n]+)\n(?:(?!\n##)[\s\S])*?```yaml\n([\s\S]*?)```/g)].map(
  ([, name = '', text = '']) => ({ name, text }),
)
const FILES = { '/etc/latchkey/sso-secret': 'secret', '/etc/latchkey/apple.p8': 'key' }

/** What a provider says of one person, by its documentation, and what the recipe makes of it. */
interface Person {
  said: {
    id_token_claims?: object
    userinfo_claims?: object
    extra_callback_parameters?: Record<string, string>
  }
  /** Subject, then what goes into the page of the sign-up, then what the identity is called. */
  made: { subject: string; localpart?: string; displayname?: string; email?: string; name?: string }
  allowed?: boolean
}

const ADA = { name: 'Ada Byron', email: 'ada@example.com', email_verified: true }

const PEOPLE: Record<string, Person[]> = {
  'For organisations': [
    {
      said: { id_token_claims: { ...ADA, sub: '1', preferred_username: 'ada', groups: ['matrix'] } },
      made: { subject: '1', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
      allowed: true,
    },
    {
      said: { id_token_claims: { ...ADA, sub: '1', preferred_username: 'ada', groups: ['matrix-admins'] } },
      made: { subject: '1', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
      allowed: false,
    },
  ],
  Keycloak: [
    {
      said: { id_token_claims: { ...ADA, sub: 'f3b1', preferred_username: 'ada' } },
      made: { subject: 'f3b1', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
    },
  ],
  'Entra ID': [
    {
      said: {
        id_token_claims: {
          ...{ sub: 'pairwise', oid: '9f3e', tid: '1111', name: 'Ada Byron', email: 'ada@example.com' },
          preferred_username: 'Ada@example.com',
        },
      },
      made: {
        ...{ subject: '9f3e', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
        name: 'Ada@example.com',
      },
    },
  ],
  Google: [
    {
      said: { id_token_claims: { ...ADA, sub: '1130', hd: 'example.com' } },
      made: {
        ...{ subject: '1130', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
        name: 'ada@example.com',
      },
      allowed: true,
    },
    // An account of nobody's Workspace with an address there.
    {
      said: { id_token_claims: { ...ADA, sub: '1131' } },
      made: {
        ...{ subject: '1131', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
        name: 'ada@example.com',
      },
      allowed: false,
    },
  ],
  GitHub: [
    {
      said: { userinfo_claims: { id: 583231, login: 'Octocat', name: 'Mona', email: null } },
      made: { subject: '583231', localpart: 'octocat', displayname: 'Mona', name: '@Octocat' },
    },
    {
      said: { userinfo_claims: { id: 1, login: 'ada', name: null, email: 'ada@example.com' } },
      made: { subject: '1', localpart: 'ada', email: 'ada@example.com', name: '@ada' },
    },
  ],
  GitLab: [
    {
      said: {
        id_token_claims: { sub: '12' },
        userinfo_claims: { ...ADA, sub: '12', nickname: 'Ada', preferred_username: 'Ada' },
      },
      made: {
        ...{ subject: '12', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
        name: '@Ada',
      },
    },
  ],
  Apple: [
    {
      said: {
        id_token_claims: { sub: '001.x', email: 'x1@privaterelay.appleid.com', email_verified: 'true' },
        extra_callback_parameters: { user: '{"name":{"firstName":"Ada","lastName":"Byron"}}' },
      },
      made: {
        ...{ subject: '001.x', displayname: 'Ada Byron', email: 'x1@privaterelay.appleid.com' },
        name: 'x1@privaterelay.appleid.com',
      },
    },
    // The name comes once.
    {
      said: { id_token_claims: { sub: '001.x', email: 'x1@privaterelay.appleid.com', email_verified: true } },
      made: {
        ...{ subject: '001.x', email: 'x1@privaterelay.appleid.com' },
        name: 'x1@privaterelay.appleid.com',
      },
    },
  ],
  Authentik: [
    {
      said: { id_token_claims: { ...ADA, email_verified: false, sub: 'a1', preferred_username: 'ada' } },
      made: { subject: 'a1', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
    },
  ],
  Dex: [
    {
      said: { id_token_claims: { ...ADA, sub: 'CgNhZGE', preferred_username: 'Ada', groups: [] } },
      made: { subject: 'CgNhZGE', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
    },
    // Through SAML.
    {
      said: { id_token_claims: { ...ADA, sub: 'CgNhZGF' } },
      made: { subject: 'CgNhZGF', localpart: 'ada', displayname: 'Ada Byron', email: 'ada@example.com' },
    },
  ],
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
    test(`${name}: loads without a warning`, async () => {
      const { config, warnings } = await withMinimal(text, FILES)
      expect(warnings.filter((warning) => warning.includes('upstream'))).toEqual([])
      expect(config.upstream_oauth2.providers).toHaveLength(1)
    })

  const cases = Object.entries(PEOPLE).flatMap(([name, people]) =>
    people.map((person, index): [string, number, Person] => [name, index + 1, person]),
  )
  test.each(cases)('%s: what it makes of what the provider says (person %d)', async (name, _, person) => {
    const text = recipes.find((recipe) => recipe.name === name)?.text ?? ''
    const { config } = await withMinimal(
      `${text}\nemail: { transport: smtp, mode: plain, hostname: localhost }`,
      FILES,
    )
    const [provider] = config.upstream_oauth2.providers
    if (!provider) throw new Error('the recipe has a provider')
    const deps = { config, upstream: { templates: createClaimTemplates() }, log: { warn() {} } }
    const needs = deps as unknown as Parameters<typeof importClaims>[0]
    const said = { extra_callback_parameters: {}, ...person.said } as Parameters<typeof importClaims>[2]
    const claims = importClaims(needs, provider, said)
    const made = Object.entries(claims).map(([attribute, { value }]) => [attribute, value])
    const { subject, account_name } = provider.claims_imports
    const one = (template: string) => claimValue(needs, provider, 'one', template, valuesOf(said))
    const called = account_name.template === undefined ? undefined : one(account_name.template)
    expect({
      subject: one(subject.template),
      ...Object.fromEntries(made),
      ...(called !== undefined && { name: called }),
    }).toEqual(person.made)
    if (person.allowed !== undefined) expect(holds(needs, provider, 'allow_if', said)).toBe(person.allowed)
    // Where the provider calls the address unverified, its owner proves it.
    const isUnproven = said.id_token_claims?.email_verified === false
    if ('email' in claims) expect(claims.email?.unproven === true).toBe(isUnproven)
  })

  test('has people for every recipe', () => {
    expect(Object.keys(PEOPLE).toSorted()).toEqual(recipes.map(({ name }) => name).toSorted())
  })
})
