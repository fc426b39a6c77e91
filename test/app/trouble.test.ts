import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Browser, copyCookies, type Page } from '../support/browser.ts'
import { FORMS, type FormSite, formsOf, type Stand, startFormSite } from '../support/form-site.ts'
import type { Control, SentForm } from '../support/page-forms.ts'

/**
 * Every form of the pages in the troubles that people have: opened in another browser, clicked twice, sent once more
 * after going back, sent while the homeserver is down. The mail server is down all the time.
 */
let site: FormSite
beforeAll(async () => {
  site = await startFormSite({ taken: true })
})
afterAll(() => site.close())

/** A form as a person sends it. */
interface Sending {
  form: SentForm
  send(browser: Browser): Promise<Page>
}

const given = ({ kind, checked }: Control): boolean =>
  kind !== 'file' && kind !== 'password' && (kind !== 'check' || checked)

/** The first form of the page that goes to the route, with what `stand` says is typed. */
function sending(route: string, { page, fields }: Stand): Sending {
  const [form] = formsOf(page, route)
  if (!form) throw new Error(`${page.url.pathname} has no form for ${route}.`)
  const sent = {
    ...Object.fromEntries(form.controls.filter(given).map(({ name, value }) => [name, value])),
    ...fields,
    ...form.button,
  }
  const address = form.action || page.url.href
  return {
    form,
    send: (browser) =>
      form.hasFile
        ? browser.upload(address, sent)
        : browser.post(address, sent as Record<string, string>, { 'sec-fetch-site': 'same-origin' }),
  }
}
/** The same browser before an answer came: of two clicks, the second breaks the first request off. */
const copyOf = ({ browser, at }: Stand): Browser => copyCookies(browser, at.browser())

/** What a form of somebody else's page comes to: a refusal, the sign-in, or the page where one begins. */
const BEGINNINGS = ['/login', '/register', '/recover', '/']
/** Answered once: the second click is told so, and what to do. */
const ANSWERED: Record<string, string> = {
  'POST /consent/{id}': 'Go back to the app; if it is not signed in, start again from there.',
  'POST /complete-compat-sso/{id}': 'Go back to the app; if it is not signed in, start again from there.',
  'POST /account/deactivate/undo': 'Either you have kept your account already, then just sign in',
}
const leadsOn = ({ status }: Page): boolean => status < 400

describe.each(Object.entries(FORMS))('%s', (route, open) => {
  test('another browser gets nowhere with it; its own does, with the mail server down, and after the homeserver was', async () => {
    const stand = await open(site)
    const { send } = sending(route, stand)
    const foreign = await send(stand.at.browser())
    if (foreign.status === 200) expect(BEGINNINGS).toContain(foreign.url.pathname)
    else expect([403, 404, 422]).toContain(foreign.status)

    site.harness.homeserver.down = true
    const down = await send(copyOf(stand)).finally(() => {
      site.harness.homeserver.down = false
      // After this the homeserver is asked again.
      site.harness.clock.advance(6)
    })
    if (leadsOn(down)) return
    expect(down.status).toBe(503)
    expect(Number(down.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(down.text).toMatch(/The homeserver does not answer right now|We cannot check this right now/)
    expect(down.text).toContain('Please try again in a moment.')
    // Whether there is a picture to remove is the homeserver's to say.
    if (route === 'POST /account/profile/picture/remove')
      return expect(leadsOn(await send(copyOf(stand)))).toBe(true)
    // The form is there again, and what was typed with it.
    const typed = Object.entries(stand.fields).filter(
      ([name, value]) => typeof value === 'string' && !name.includes('password'),
    )
    const controls = formsOf(down, route)[0]?.controls ?? []
    for (const [name, value] of typed)
      expect(controls.find((control) => control.name === name)?.value).toBe(value as string)
    expect(leadsOn(await sending(route, { ...stand, page: down }).send(copyOf(stand)))).toBe(true)
  })

  test('two clicks without script, and once more after going back: everybody is led on', async () => {
    const stand = await open(site)
    const { send } = sending(route, stand)
    const [one, two] = [copyOf(stand), copyOf(stand)]
    const both = await Promise.all([send(one), send(two)])
    const [first, second] = both.sort((a, b) => a.status - b.status)
    expect([first.status, leadsOn(first)]).toEqual([first.status, true])
    const again = await send(one)
    const sentence = ANSWERED[route]
    if (sentence === undefined) {
      expect([second.status, leadsOn(second)]).toEqual([second.status, true])
      // 422: the page is older than the sign-in by now, and comes back to be sent once more; 410: the link is spent.
      expect([200, 303, 422, ...(route === 'POST /account/password/recovery' ? [410] : [])]).toContain(
        again.status,
      )
    } else for (const late of [second, again]) expect(late.text).toContain(sentence)
  })
})
