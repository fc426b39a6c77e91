import { describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

// Every case of the link page (reference flows 4.7 to 4.9), and the walk in Chromium that goes through it, with JavaScript
// and without.

const FIRST = 'test/e2e/upstream.test.ts'
const REST = 'test/e2e/upstream-cases.test.ts'

/** The case, the file, and the beginning of the name of the test. */
const CASES: [of: string, file: string, walk: string][] = [
  ['nobody knows the identity: a new account, and back in the app', FIRST, 'a new person comes from an app'],
  ['the answer is posted from another site (form_post)', FIRST, 'a provider that posts its answer'],
  ['Apple: the name comes once', FIRST, 'a name that the provider tells once'],
  ['“I already have an account”: signs in, returns, links', FIRST, 'who has an account signs in, links'],
  ['the owner comes back: signed in', FIRST, 'who has an account signs in, links'],
  ['two tabs at once', FIRST, 'two tabs at once'],
  ['the back button after the sign-up', FIRST, 'a provider that posts its answer'],
  ['the cookie was lost on the way', FIRST, 'a cookie that was lost'],
  ['a typed name that is taken', FIRST, 'an identity of another account, and a name that is taken'],
  ['the identity of another account: switch', FIRST, 'an identity of another account'],
  ['the identity of another account: stay', REST, 'somebody else’s browser'],
  ['problem: not_allowed (allow_if)', FIRST, 'somebody whom the operator does not let in'],
  ['signed in, the identity is nobody’s: not now', REST, 'somebody who is signed in: not now'],
  ['signed in, the identity is nobody’s: link', REST, 'somebody who is signed in: not now'],
  ['signed in a while ago: once more first', REST, 'somebody who is signed in: not now'],
  ['signed in, the identity is nobody’s: “This is not my account”', REST, 'somebody else’s browser'],
  ['the owner is signed in already', REST, 'somebody who is signed in: not now'],
  ['unlinking', REST, 'somebody who is signed in: not now'],
  ['unlinking the last way in: refused', REST, 'somebody else’s browser'],
  ['the page is too old', REST, 'a page that was left open for too long'],
  ['the address of the page in another browser', REST, 'a page that was left open for too long'],
  ['the owner is locked', REST, 'an account that may not be used'],
  ['the owner is deactivated', REST, 'an account that may not be used'],
  ['the owner waits for approval', REST, 'an account that may not be used'],
  ['on_conflict: fail', REST, 'a name that an account has'],
  ['on_conflict: add', REST, 'a name that an account has'],
  ['on_conflict: set', REST, 'a name that an account has'],
  ['on_conflict: replace', REST, 'a name that an account has'],
  ['on_conflict, and the account is locked', REST, 'a name that an account has'],
  ['problem: name_taken', REST, 'a name that an account has'],
  ['problem: already_linked', REST, 'a name that an account has'],
  ['problem: claim_missing', REST, 'what a provider has to say'],
  ['problem: name_refused', REST, 'what a provider has to say'],
  ['problem: email_taken', REST, 'what a provider has to say'],
  ['problem: registration_closed (allow_registration: false)', REST, 'what a provider has to say'],
  ['name, address and display name are the provider’s to decide', REST, 'what a provider has to say'],
  ['skip_confirmation', REST, 'without a page to confirm'],
  ['skip_confirmation, with an invitation', REST, 'without a page to confirm'],
  ['skip_confirmation, with terms', REST, 'without a page to confirm'],
  ['terms at the sign-up', REST, 'terms of use: no account without them'],
  ['the person cancels at the provider', REST, 'a provider that sends nobody back'],
  ['the provider is away', REST, 'a provider that sends nobody back'],
]

const ROOT = join(import.meta.dirname, '..', '..')
const source = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')

describe('the link page', () => {
  test.each(CASES)('%s', async (_, file, walk) => {
    const text = await source(file)
    // In a block that runs with script and without.
    const [, walks = ''] = text.split('describe.each([true, false])')
    expect([...walks.matchAll(/\n {2}test\(\n {4}'([^']*)'/g)].map(([, name]) => name)).toContainEqual(
      expect.stringMatching(new RegExp(`^${walk}`)),
    )
  })

  test('has a row for every problem that its page knows, and every on_conflict', async () => {
    const contexts = await source('src/render/contexts-upstream.ts')
    const [, union = ''] = /type UpstreamProblem =([\s\S]*?)\n\n/.exec(contexts) ?? []
    const problems = [...union.matchAll(/'(\w+)'/g)].map(([, name]) => `problem: ${name}`)
    expect(problems.length).toBeGreaterThan(5)
    const named = CASES.map(([of]) => of.replace(/ \(.*/, ''))
    for (const one of [
      ...problems,
      ...['fail', 'add', 'set', 'replace'].map((mode) => `on_conflict: ${mode}`),
    ])
      expect(named).toContain(one)
  })
})
