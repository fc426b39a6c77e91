import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ownMessageFindings } from '../../src/render/own-messages.ts'
import { renderSamples } from '../../src/render/render-samples.ts'
import { createTexts } from '../../src/render/texts.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, createSignedUp, registerClient } from '../support/oauth.ts'

/** Syriac: nobody translated it, and it is written from right to left. */
const TAG = 'syc'
const MARK = '✶'

let folder: string
let harness: Harness
/** Follows docs/languages.md: copies the English file, and “translates” every text. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-language-'))
  const path = join(folder, `${TAG}.json`)
  await copyFile(join(import.meta.dirname, '../../views/locales/en.json'), path)
  const english: Record<string, string> = await Bun.file(path).json()
  const translated = Object.entries(english).map(([key, text]) => [key, `${MARK}${text}`])
  await Bun.write(path, `${JSON.stringify(Object.fromEntries(translated), null, 2)}\n`)
  harness = await createHarness({ config: { templates: { translations_overlay_path: folder } } as never })
})
afterAll(async () => {
  await harness.close()
  await rm(folder, { recursive: true, force: true })
})

test('docs/languages.md names every language that there is', async () => {
  const text = await Bun.file(join(import.meta.dirname, '../../docs/languages.md')).text()
  const names = new Intl.DisplayNames('en', { type: 'language' })
  for (const file of await readdir(join(import.meta.dirname, '../../views/locales'))) {
    const { language } = new Intl.Locale(file.replace('.json', ''))
    expect(text).toContain(names.of(language) ?? '?')
  }
})

test('a copied and translated file passes the check: every page and mail is in the language', () => {
  const { views, translate } = createTexts({ translations_overlay_path: folder })
  const languages = translate.names.filter(({ tag }) => tag === TAG)
  expect(languages).toHaveLength(1)
  let count = 0
  for (const { fault, parts = {}, label, template } of renderSamples(views, {
    languages,
    asset: (name) => `/${name}`,
  })) {
    count++
    expect(fault, `${template} ${label}`).toBeUndefined()
    if (parts.html !== undefined) {
      expect(parts.html).toContain(`<html lang="${TAG}" dir="rtl"`)
      expect(parts.html.split(MARK).length, `${template} ${label}`).toBeGreaterThan(2)
    }
    for (const part of [parts.txt, parts.subject]) if (part !== undefined) expect(part).toContain(MARK)
  }
  expect(count).toBeGreaterThan(200)
  const ours = createTexts({}).translate
  expect(ownMessageFindings(folder, ours, () => false)).toEqual([])
})

test('after the start it can be chosen, and whoever asks for it gets it: footer, profile, ui_locales, browser', async () => {
  const page = await harness.browser({ 'accept-language': TAG }).open('/login')
  expect(page.text).toContain(`<html lang="${TAG}" dir="rtl"`)
  expect(page.text).toContain(`${MARK}Sign in`)
  expect(page.text).toMatch(new RegExp(`<option value="${TAG}" lang="${TAG}" selected>`))
  const discovery = await harness.request('/.well-known/openid-configuration')
  expect(((await discovery.json()) as { ui_locales_supported: string[] }).ui_locales_supported).toContain(TAG)
  const { client_id: clientId } = await registerClient(harness)
  const asked = await harness.browser().open(authorizeUrl(clientId, { ui_locales: TAG }))
  expect(asked.text).toContain(`<html lang="${TAG}"`)
  const { browser } = await createSignedUp(harness, 'ephrem')
  const profile = await browser.open('/account/profile')
  expect(profile.text).toContain(`value="${TAG}"`)
  const saved = await profile.submit({ locale: TAG, time_zone: 'UTC' }, { action: 'preferences' })
  expect(saved.text).toContain(`<html lang="${TAG}"`)
})

test('a text that is left out is English, and the check tells how many there are', async () => {
  const part = await mkdtemp(join(tmpdir(), 'latchkey-language-part-'))
  await Bun.write(join(part, `${TAG}.json`), '{\n  "login.title": "✶"\n}\n')
  const { translate } = createTexts({ translations_overlay_path: part })
  expect([translate.text(TAG, 'login.title'), translate.text(TAG, 'action.cancel')]).toEqual(['✶', 'Cancel'])
  expect(ownMessageFindings(part, createTexts({}).translate, () => false)).toEqual([
    {
      fault: false,
      sentence: expect.stringMatching(/syc\.json: \d{3,} texts are missing and will be English$/),
    },
  ])
  await rm(part, { recursive: true })
})
