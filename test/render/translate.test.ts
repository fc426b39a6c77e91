import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { IntlMessageFormat } from 'intl-messageformat'
import { argumentsOf } from '../../src/render/own-messages.ts'
import { chooseLanguage, createTranslate, directionOf } from '../../src/render/translate.ts'

const LOCALES = fileURLToPath(new URL('../../views/locales', import.meta.url))

/** The forms of each plural of a message. */
function pluralsOf(nodes: unknown): string[][] {
  return (nodes as { type: number; options?: Record<string, { value: unknown }> }[]).flatMap(
    ({ type, options = {} }) => [
      // 6 is a plural.
      ...(type === 6 ? [Object.keys(options)] : []),
      ...Object.values(options).flatMap(({ value }) => pluralsOf(value)),
    ],
  )
}

const catalogues = await Promise.all(
  readdirSync(LOCALES).map(async (file) => ({
    lang: file.replace('.json', ''),
    messages: (await Bun.file(join(LOCALES, file)).json()) as Record<string, string>,
  })),
)
const english = catalogues.find(({ lang }) => lang === 'en')?.messages ?? {}

describe('catalogues', () => {
  test('have the same keys in the same order as the English one', () => {
    expect(catalogues.length).toBeGreaterThan(1)
    for (const { lang, messages } of catalogues)
      expect(Object.keys(messages), lang).toEqual(Object.keys(english))
  })

  test('parse as ICU MessageFormat and take the same arguments in every language', () => {
    for (const { lang, messages } of catalogues) {
      for (const [key, message] of Object.entries(messages)) {
        expect(argumentsOf(message, lang), `${lang} ${key}`).toEqual(argumentsOf(english[key] ?? '', 'en'))
      }
    }
  })

  test('have every plural form that whole numbers of the language need', () => {
    for (const { lang, messages } of catalogues) {
      const rules = new Intl.PluralRules(lang)
      // Not nothing, which has a text of its own where it matters, and no million.
      const needed = new Set(Array.from({ length: 199 }, (_, index) => rules.select(index + 1)))
      for (const [key, message] of Object.entries(messages))
        for (const forms of pluralsOf(
          new IntlMessageFormat(message, lang, undefined, { ignoreTag: true }).getAst(),
        ))
          expect(
            [...needed].filter((form) => !forms.includes(form)),
            `${lang} ${key}`,
          ).toEqual([])
    }
  })

  test('hold no HTML and no empty text', () => {
    for (const { lang, messages } of catalogues) {
      for (const [key, message] of Object.entries(messages)) {
        expect(message.trim(), `${lang} ${key}`).not.toBe('')
        expect(message, `${lang} ${key}`).not.toMatch(/[<>]|&[a-z]+;/)
      }
    }
  })
})

describe('createTranslate', () => {
  const translate = createTranslate({ directory: LOCALES })

  test('lists English first, then the others by tag', () => {
    const others = catalogues.map(({ lang }) => lang).filter((lang) => lang !== 'en')
    expect(translate.languages).toEqual(['en', ...others.sort((a, b) => a.localeCompare(b))])
  })

  test('fills in arguments and plural forms of the language', () => {
    expect(translate.text('de', 'wait.minutes', { count: 1 })).toBe('1 Minute')
    expect(translate.text('de', 'wait.minutes', { count: 2 })).toBe('2 Minuten')
    expect(translate.text('en', 'consent.title', { client: '<b>Tern</b>' })).toBe('Continue to <b>Tern</b>?')
  })

  test('isolates right-to-left arguments, so that they do not reorder the sentence', () => {
    expect(translate.text('en', 'consent.title', { client: 'نورا' })).toBe('Continue to \u2068نورا\u2069?')
  })

  test('counts digits that are given as text, also in a language that runs right to left', () => {
    expect(translate.text('ar', 'tokens.lifetime', { days: '30' })).toBe('30 يومًا')
    expect(translate.text('ar', 'consent.title', { client: 'Tern' })).toContain('\u2068Tern\u2069')
  })

  test('throws for an unknown key and for a missing argument', () => {
    expect(() => translate.text('en', 'no.such.key')).toThrow('no.such.key')
    expect(() => translate.text('en', 'consent.title')).toThrow()
  })

  test('an overlay replaces single messages and adds languages; what it lacks is English', () => {
    const overlay = mkdtempSync(join(tmpdir(), 'locales-'))
    try {
      writeFileSync(join(overlay, 'de.json'), JSON.stringify({ 'login.title': 'Servus' }))
      writeFileSync(join(overlay, 'cy.json'), JSON.stringify({ 'login.title': 'Mewngofnodi' }))
      const merged = createTranslate({ directory: LOCALES, overlay })
      expect(translate.languages).not.toContain('cy')
      expect([...merged.languages].sort()).toEqual([...translate.languages, 'cy'].sort())
      expect(merged.text('de', 'login.title')).toBe('Servus')
      expect(merged.text('de', 'action.cancel')).toBe('Abbrechen')
      expect(merged.text('cy', 'login.title')).toBe('Mewngofnodi')
      expect(merged.text('cy', 'action.cancel')).toBe('Cancel')
    } finally {
      rmSync(overlay, { recursive: true })
    }
  })
})

describe('chooseLanguage', () => {
  const table: [header: string | null, available: string[], chosen: string][] = [
    [null, ['en', 'de'], 'en'],
    ['', ['en', 'de'], 'en'],
    ['de', ['en', 'de'], 'de'],
    ['de-AT,en;q=0.5', ['en', 'de'], 'de'],
    ['en;q=0.5, de;q=0.8', ['en', 'de'], 'de'],
    ['fr, de;q=0.9, en;q=0.8', ['en', 'de'], 'de'],
    ['de;q=0, en', ['en', 'de'], 'en'],
    ['de;q=nonsense', ['en', 'de'], 'en'],
    ['*, de', ['en', 'de'], 'en'],
    ['DE-de', ['en', 'de'], 'de'],
    ['zh-CN', ['en', 'zh-Hans', 'zh-Hant'], 'zh-Hans'],
    ['zh-TW', ['en', 'zh-Hans', 'zh-Hant'], 'zh-Hant'],
    ['zh-TW', ['en', 'zh-Hans'], 'en'],
    ['pt', ['en', 'pt-BR'], 'pt-BR'],
    ['pt-PT', ['en', 'pt', 'pt-BR'], 'pt'],
    ['not a tag,,;;q=1, de', ['en', 'de'], 'de'],
    ['x'.repeat(5000), ['en', 'de'], 'en'],
  ]
  for (const [header, available, chosen] of table) {
    test(`${header?.slice(0, 30)} of ${available.join(', ')}: ${chosen} (RFC 4647 section 3.4)`, () => {
      expect(chooseLanguage(header, available)).toBe(chosen)
    })
  }

  test('a tag of more than a hundred characters is no language, since the platform takes seconds over long ones', () => {
    expect(chooseLanguage('de-x-short', ['en', 'de'])).toBe('de')
    expect(chooseLanguage(`de-x${'-private'.repeat(13)}`, ['en', 'de'])).toBe('en')
    expect(chooseLanguage(null, ['en', 'de'], `de-x${'-private'.repeat(13)}`)).toBe('en')
  })

  test('ui_locales goes before Accept-Language (OpenID Connect Core section 3.1.2.1)', () => {
    expect(chooseLanguage('en', ['en', 'de'], 'fr de')).toBe('de')
  })
})

test('directionOf: by script', () => {
  expect(['ar', 'he', 'fa', 'ur', 'az-Arab', 'en', 'de', 'zh-Hans', '!!'].map(directionOf)).toEqual([
    'rtl',
    'rtl',
    'rtl',
    'rtl',
    'rtl',
    'ltr',
    'ltr',
    'ltr',
    'ltr',
  ])
})
