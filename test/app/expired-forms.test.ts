import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { FORMS, type FormSite, formRoutes, formsOf, startFormSite } from '../support/form-site.ts'
import type { Control } from '../support/page-forms.ts'

/**
 * Every form of the pages, sent with a token that is too old and without one: it comes back with a sentence that says so
 * and with what was typed. The list (`support/form-site.ts`) is the route table: a new route that takes a form needs a line there.
 */
const SENTENCE = 'This page was open for too long. Nothing is lost: just send it once more.'
const SAME_SITE = { 'sec-fetch-site': 'same-origin' }

/** Routes of pages that take a POST and have no form of ours to come back with. */
const EXCEPTIONS: Record<string, string> = {
  'POST /authorize': 'the request of an app, which has no token',
  'POST /end-session': 'the request of an app, which has no token; it goes on to GET',
  'POST /upstream/callback/{id}': 'the answer of a provider, which is bound to the browser by its state',
  'POST /language': 'the selector at the foot of every page leads back to that page, which shows it again',
}

/** What does not come back, although it is no password. */
const NOT_KEPT: Record<string, string[]> = {
  // Typed, or ticked, so that nobody does it by mistake: it has to be done once more.
  'POST /account/deactivate': ['confirm'],
  'POST /device/{id}': ['confirm_device'],
  // A page cannot fill in a file.
  'POST /account/profile/picture': ['picture'],
}

let site: FormSite
beforeAll(async () => {
  site = await startFormSite()
})
afterAll(() => site.close())

/** Something else than what is there, as a person might put it in. */
function filledIn(control: Control): Control {
  if (control.kind === 'check') return { ...control, checked: !control.checked }
  if (control.kind === 'choice') return { ...control, value: control.options.at(-1) ?? '' }
  if (control.kind !== 'text') return control
  if (control.type === 'email') return { ...control, value: 'typed.here@example.test' }
  return { ...control, value: control.name === 'code' ? 'K7Q-P2M' : 'typed-here-7' }
}
const sentBy = (controls: Control[]): Record<string, string> =>
  Object.fromEntries(
    controls
      .filter((control) => control.kind !== 'file' && (control.kind !== 'check' || control.checked))
      .map((control) => [control.name, control.kind === 'password' ? 'not to be seen 9' : control.value]),
  )
/** What of a form must be there again. */
const keptOf = (route: string, controls: Control[]) =>
  controls
    .filter(({ name, kind }) => name !== 'csrf' && kind !== 'password' && kind !== 'button')
    .filter(({ name }) => !NOT_KEPT[route]?.includes(name))
    .map(({ name, value, checked }) => `${name}=${value}${checked ? ' (ticked)' : ''}`)
    .sort()

describe('a form that is too old comes back with what was typed, and says so', () => {
  test('every route that takes a form of a page is in the list', () => {
    expect([...Object.keys(FORMS), ...Object.keys(EXCEPTIONS)].sort()).toEqual(formRoutes(site).sort())
  })

  for (const [route, open] of Object.entries(FORMS))
    test(route, async () => {
      const { browser, page } = await open(site)
      const forms = formsOf(page, route)
      expect(forms.length).toBeGreaterThan(0)
      for (const form of forms) {
        const controls = form.controls.map(filledIn)
        const address = form.action || page.url.href
        const { csrf: _, ...fields } = sentBy(controls)
        for (const token of [{ csrf: 'A'.repeat(43) }, {}]) {
          const sent = { ...fields, ...token, ...form.button }
          const again = form.hasFile
            ? await browser.upload(address, sent)
            : await browser.post(address, sent, SAME_SITE)
          expect([again.status, again.text.includes(SENTENCE)]).toEqual([422, true])
          expect(again.text).not.toContain('not to be seen')
          const same = formsOf(again, route).find(
            (one) => one.controls.map(({ name }) => name).join() === controls.map(({ name }) => name).join(),
          )
          expect(keptOf(route, same?.controls ?? [])).toEqual(keptOf(route, controls))
        }
      }
    })
})
