import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { insertEmail } from '../../sql/users.ts'
import { newId } from '../../src/lib/ulid.ts'
import { type Browser, readForms } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  createSignedUp,
  exchange,
  obtainCode,
  type Person,
  registerClient,
  WEB_CLIENT,
} from '../support/oauth.ts'
import { personalToken } from '../support/personal.ts'

const MANY = 23

let harness: Harness
let person: Person
let main: string
beforeAll(async () => {
  harness = await createHarness()
  person = await createSignedUp(harness, 'collector')
  const { sql, clock, random } = harness.deps
  for (let index = 0; index < MANY; index++) {
    harness.clock.advance(1)
    const now = clock.now()
    const email = `address${index}@example.org`
    await insertEmail(sql, { id: newId(now, random), userId: person.userId, email, folded: email, now })
    await personalToken(harness, person.userId, {
      name: `Script ${index}.`,
      scope: ['urn:matrix:client:api:*'],
    })
    const { client_id: clientId } = await registerClient(harness, {
      ...WEB_CLIENT,
      client_name: `App ${index}.`,
    })
    await exchange(harness, clientId, await obtainCode(person.browser, clientId, { scope: 'openid' }))
  }
  main = 'address0@example.org'
})
afterAll(() => harness.close())

/** The entries of every page of a list, from the first on along the links to the next. */
async function walk(
  browser: Browser,
  path: string,
): Promise<{ pages: string[][]; back: string | undefined }> {
  const pages: string[][] = []
  let address: string | undefined = path
  let text = ''
  while (address !== undefined && pages.length < 10) {
    text = (await browser.open(address)).text
    pages.push([...text.matchAll(/(?:Script|App) \d+\.|address\d+@example\.org/g)].map(([name]) => name))
    address = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')
  }
  return {
    pages: pages.map((names) => [...new Set(names)]),
    back: /rel="prev" href="([^"]+)"/.exec(text)?.[1],
  }
}

const LISTS = [
  ['/account/tokens', 'Script', 'newest first'],
  ['/account/apps', 'App', 'used last first'],
  ['/account/emails', 'address', 'the main one first'],
] as const

describe('lists of the account area with many entries', () => {
  test.each(LISTS)(
    'GET %s: ten on a page, every one of them once, and links to the pages beside it',
    async (path, begin) => {
      const { pages, back } = await walk(person.browser, path)
      expect(pages.map((names) => names.length)).toEqual([10, 10, 3])
      const all = pages.flat()
      expect(new Set(all).size).toBe(MANY)
      for (const name of all) expect(name.startsWith(begin)).toBe(true)
      expect(back).toBe(`${path}?page=2`)
      const second = (await person.browser.open(`${path}?page=2`)).text
      expect(second).toContain(`rel="prev" href="${path}"`)
    },
  )

  test.each(LISTS)(
    'GET %s: a page that is none is the first one, and one behind the end leads there',
    async (path) => {
      const first = (await walk(person.browser, path)).pages[0]
      for (const page of ['0', '-1', '1.5', 'x', '1e9', '9999', '99999999999999999999', '%00'])
        expect((await walk(person.browser, `${path}?page=${page}`)).pages[0]).toEqual(first ?? [])
    },
  )

  test('tokens come newest first, apps used last first, the main address first', async () => {
    expect((await walk(person.browser, '/account/tokens')).pages[0]?.[0]).toBe(`Script ${MANY - 1}.`)
    expect((await walk(person.browser, '/account/emails')).pages[0]?.[0]).toBe(main)
    await harness.deps.sql`update latchkey.oauth_sessions set last_active_at = ${harness.clock.now()}
      where client_id = (select id from latchkey.clients where metadata->>'client_name' = 'App 7.')`
    expect((await walk(person.browser, '/account/apps')).pages[0]?.[0]).toBe('App 7.')
  })

  test('what is on a later page can be made the main one, removed and revoked from there', async () => {
    const { browser } = person
    const emails = await browser.open('/account/emails?page=3')
    const make = readForms(emails.text).find(({ action }) => action.endsWith('/primary'))
    expect((await emails.submit({}, { action: make?.action ?? '?' })).status).toBe(200)
    expect((await walk(browser, '/account/emails')).pages[0]?.[0]).toMatch(/address2[0-2]@/)
    const revoke = async (path: string) => {
      const page = await browser.open(`${path}?page=3`)
      const link = new RegExp(`href="(${path}/\\w{26}/revoke)"`).exec(page.text)?.[1] ?? ''
      await (await browser.open(link)).submit({}, { action: '/revoke' })
      return (await walk(browser, path)).pages.map((names) => names.length)
    }
    expect(await revoke('/account/tokens')).toEqual([10, 10, 2])
    expect(await revoke('/account/apps')).toEqual([10, 10, 2])
  })

  test('a stranger sees none of it', async () => {
    const other = await createSignedUp(harness, 'stranger')
    for (const [path] of LISTS) expect((await walk(other.browser, path)).pages).toEqual([[]])
  })
})
