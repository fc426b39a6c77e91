import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, createSignedUp, registerClient } from '../support/oauth.ts'

let harness: Harness
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => harness.close())

const ID = '01JDFX2V9S6QK3W4Z5Y7T8R9PB'
const open = (address: string) => harness.browser().open(address)

/** Each kind of page that says that something cannot be done, and the word of the log for it. */
const PAGES: Record<string, [word: string, status: number, () => Promise<Page>]> = {
  'an address where nothing is': ['not_found', 404, () => open('/nothing-here')],
  'an unknown app': ['unknown_client', 400, () => open(authorizeUrl(ID))],
  'a redirect address that is not the app’s': [
    'bad_redirect_uri',
    400,
    () => open(authorizeUrl(clientId, { redirect_uri: 'https://evil.test/' })),
  ],
  'a request of an app that is not there': [
    'grant_not_found',
    404,
    async () => (await createSignedUp(harness, 'nina')).browser.open(`/consent/${ID}`),
  ],
  'a sign-up that is not there': [
    'registration_not_found',
    404,
    () => open(`/register/steps/${ID}/display-name`),
  ],
  'too many wrong links': [
    'rate_limited',
    429,
    async () => {
      const browser = harness.browser()
      let page = await browser.open('/account/password/recovery?ticket=wrong')
      for (let count = 0; count < 40 && page.status !== 429; count++)
        page = await browser.open(`/account/password/recovery?ticket=wrong${count}`)
      return page
    },
  ],
  'a token of somebody else': [
    'not_found',
    404,
    async () => (await createSignedUp(harness, 'otto')).browser.open(`/account/tokens/${ID}/revoke`),
  ],
}

test.each(Object.entries(PAGES))(
  '%s: a page with a reference, which the log repeats with what it was; the way on, and no more',
  async (_, [word, status, visit]) => {
    harness.logged.length = 0
    const page = await visit()
    expect(page.status).toBe(status)
    const shown = /<code data-copy="[^"]*" data-copied="[^"]*">([^<]+)<\/code>/.exec(page.text)?.[1]
    expect(shown).toMatch(/^[0-9A-Z]{8}$/)
    const line = harness.logged.find(({ fields }) => fields.reference === shown && fields.problem === word)
    expect(line?.event).toBe('page.problem')
    expect(line?.fields.path).not.toContain('?')
    // What to do: there is a link on.
    expect(page.text).toMatch(/class="actions">[\s\S]*?<a class="button/)
  },
)

test('a reference is another one each time', async () => {
  const references = new Set<string | undefined>()
  for (let count = 0; count < 5; count++)
    references.add(/data-copied="[^"]*">([^<]+)<\/code>/.exec((await open('/nothing-here')).text)?.[1])
  expect(references.size).toBe(5)
})
