import { describe, expect, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { createAssets } from '../../src/render/assets.ts'
import type { PageName } from '../../src/render/contexts.ts'
import { createViews } from '../../src/render/engine.ts'
import { HOSTILE, type Sample, sampleBase } from '../../src/render/sample-base.ts'
import { samples } from '../../src/render/samples.ts'
import { createTranslate } from '../../src/render/translate.ts'

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url))
const translate = createTranslate({ directory: `${VIEWS}/locales` })
const assets = createAssets([`${VIEWS}/static`], '/auth/')
const views = createViews({ directory: VIEWS, translate })

interface Rendered {
  name: PageName
  label: string
  lang: string
  dir: string
  html: string
}

function renderAll<P extends PageName>(name: P, list: readonly Sample<P>[]): Rendered[] {
  return translate.languages.flatMap((lang) =>
    list.map(({ label, context, base }) => {
      const shared = { ...sampleBase(lang, assets.url), ...base }
      return { name, label, lang, dir: shared.dir, html: views.page(name, context, shared) }
    }),
  )
}

const names = Object.keys(samples) as PageName[]
const all: Rendered[] = names.flatMap((name) => renderAll(name, samples[name] as Sample<typeof name>[]))

/** Opening tags of `element` with their attributes, from HTML whose attribute values are quoted and escaped. */
const tags = (html: string, element: string): string[] =>
  html.match(new RegExp(`<${element}(?=[\\s>])(?:[^>"]|"[^"]*")*>`, 'g')) ?? []

const attribute = (tag: string, name: string): string | undefined =>
  tag.match(new RegExp(`\\s${name}="([^"]*)"`))?.[1]

const where = (page: Rendered): string => `${page.name} / ${page.label} / ${page.lang}`

describe('every page with every sample in every language', () => {
  test('renders under strict undefined, and there is a template and a sample for each page', () => {
    expect(all.length).toBeGreaterThan(100)
    for (const name of names) expect(views.templates).toContain(`pages/${name}.html`)
    const pages = views.templates.filter((template) => template.startsWith('pages/'))
    expect(pages.length).toBe(names.length)
  })

  test('names its language and direction, has one title, one h1 and one main', () => {
    for (const page of all) {
      expect(page.html, where(page)).toMatch(new RegExp(`<html lang="${page.lang}" dir="${page.dir}" `))
      for (const element of ['title', 'h1', 'main', 'header', 'footer']) {
        expect(tags(page.html, element).length, `${where(page)}: ${element}`).toBe(1)
      }
      expect(page.html, where(page)).not.toMatch(/<title>[\s·]*<\/title>/)
    }
  })

  test('has no inline script, style, style attribute or event handler (Content-Security-Policy)', () => {
    for (const page of all) {
      for (const script of page.html.match(/<script[\s\S]*?<\/script>/g) ?? []) {
        // The check against robots of somebody else has a script of theirs, and its page a policy for it (decision 5).
        if (page.name.endsWith('register') && script.includes('captcha.example.org')) continue
        expect(script, where(page)).toMatch(/^<script type="module" src="\/auth\/assets\/[^"]+"><\/script>$/)
      }
      expect(page.html, where(page)).not.toMatch(/<style/i)
      for (const tag of page.html.match(/<[a-z][^\s>]*(?:[^>"]|"[^"]*")*>/g) ?? []) {
        const attributes = tag.replaceAll(/"[^"]*"/g, '""')
        expect(attributes, `${where(page)}: ${tag}`).not.toMatch(/\s(style|on[a-z]+)\s*=/i)
      }
    }
  })

  test('quotes every attribute value, so that escaping holds', () => {
    for (const page of all) {
      for (const tag of page.html.match(/<[a-z][^\s>]*(?:[^>"]|"[^"]*")*>/g) ?? []) {
        expect(tag.replaceAll(/="[^"]*"/g, ''), where(page)).not.toContain('=')
      }
    }
  })

  test('every form is a POST below the base path with the CSRF token, except searches and the one that goes to the client', () => {
    for (const page of all) {
      for (const form of page.html.match(/<form[\s\S]*?<\/form>/g) ?? []) {
        const [opening = ''] = tags(form, 'form')
        if (opening.includes('role="search"')) {
          // It only reads, and its address can be kept: a GET, which must not carry the token.
          expect(opening, where(page)).toContain('method="get"')
          expect(attribute(opening, 'action'), where(page)).toMatch(/^\/auth\//)
          expect(form, where(page)).not.toContain('name="csrf"')
          continue
        }
        expect(attribute(opening, 'method'), where(page)).toBe('post')
        if (opening.includes('data-auto-submit')) {
          expect(form, where(page)).not.toContain('name="csrf"')
          continue
        }
        expect(attribute(opening, 'action'), where(page)).toMatch(/^\/auth\//)
        expect(form.match(/<input type="hidden" name="csrf" value="[^"]+">/g)?.length, where(page)).toBe(1)
      }
    }
  })

  test('every visible input has a label, a purpose, and only ids that exist in aria-describedby', () => {
    for (const page of all) {
      const ids = [...page.html.matchAll(/\sid="([^"]*)"/g)].map((match) => match[1])
      expect(new Set(ids).size, where(page)).toBe(ids.length)
      for (const input of tags(page.html, 'input')) {
        if (attribute(input, 'type') === 'hidden') continue
        expect(page.html, where(page)).toContain(`<label for="${attribute(input, 'id')}">`)
        if (!['checkbox', 'file'].includes(attribute(input, 'type') ?? ''))
          expect(input, where(page)).toMatch(/autocomplete="/)
        for (const id of attribute(input, 'aria-describedby')?.split(' ') ?? [])
          expect(ids, input).toContain(id)
        if (input.includes('aria-invalid'))
          expect(input, where(page)).toMatch(/aria-describedby="[a-z_]+-error/)
      }
    }
  })

  test('every link within a page leads to something in it, such as from the summary to the field', () => {
    for (const page of all) {
      const ids = new Set([...page.html.matchAll(/\sid="([^"]*)"/g)].map((match) => match[1]))
      for (const tag of [...tags(page.html, 'a'), ...tags(page.html, 'use')]) {
        const target = attribute(tag, 'href') ?? ''
        if (target.startsWith('#')) expect(ids, `${where(page)}: ${tag}`).toContain(target.slice(1))
      }
    }
  })

  test('never sends a password back', () => {
    for (const page of all) {
      for (const input of tags(page.html, 'input').filter((tag) => attribute(tag, 'type') === 'password')) {
        expect(attribute(input, 'value'), where(page)).toBeUndefined()
      }
    }
  })

  test('every link stays below the base path or goes to another site, and none runs script', () => {
    for (const page of all) {
      for (const tag of [...tags(page.html, 'a'), ...tags(page.html, 'form'), ...tags(page.html, 'img')]) {
        const target = attribute(tag, 'href') ?? attribute(tag, 'action') ?? attribute(tag, 'src') ?? ''
        expect(target, where(page)).not.toMatch(/^\s*(javascript|data|vbscript):/i)
        if (target.startsWith('/')) expect(target, where(page)).toMatch(/^\/auth\//)
      }
    }
  })

  test('leaves no template syntax, raw message key or undefined in the text', () => {
    for (const page of all.filter((page) => page.label !== 'hostile')) {
      const text = page.html.replaceAll(/<[^>]*>/g, ' ')
      expect(text, where(page)).not.toMatch(
        /\{\{|\{%|\bundefined\b|\bnone\b|\bNaN\b|ليس رقم|field_error|form_error/,
      )
    }
  })

  test('says so when no homeserver is connected', () => {
    const standalone = all.filter((page) => page.html.includes('class="standalone"'))
    expect(standalone.map((page) => page.name)).toContain('login')
    for (const page of standalone)
      expect(page.html, where(page)).toContain(translate.text(page.lang, 'layout.standalone'))
  })
})

test('hostile values are text everywhere: no markup, no template syntax of theirs is run', () => {
  const hostile = all.filter((page) => page.label === 'hostile')
  expect(hostile.length).toBeGreaterThan(20)
  for (const page of hostile) {
    expect(page.html, where(page)).not.toContain(HOSTILE)
    expect(page.html, where(page)).not.toMatch(/<script>|<img src=x|onerror='/)
    expect(page.html, where(page)).not.toContain('{{ 49 }}')
  }
  const login = hostile.find((page) => page.name === 'login')
  expect(login?.html).toContain('&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;')
})

describe('forms', () => {
  const html = (name: PageName, label: string): string => {
    const page = all.find((entry) => entry.name === name && entry.label === label && entry.lang === 'en')
    if (!page) throw new Error(`No sample ${name} / ${label}`)
    return page.html
  }

  test('keep what was typed and the continuation', () => {
    const page = html('login', 'wrong password')
    expect(page).toContain('name="username" value="alice"')
    const query = 'kind=continue_authorization_grant&amp;id=01JDFX2V9S6QK3W4Z5Y7T8R9PA'
    expect(page).toContain(`action="/auth/login?${query}"`)
    expect(page).toContain(`href="/auth/register?${query}"`)
  })

  test('show the first error of a field only, and link to it from the summary', () => {
    const page = html('register', 'errors')
    expect(page).toContain('Use at least one letter')
    expect(page).not.toContain('This username is taken.')
    for (const field of ['username', 'email', 'password', 'password_confirm', 'accept_terms']) {
      expect(page).toContain(`<li><a href="#${field}">`)
    }
    expect(page).toContain('<title>Error: Create account · Latchkey</title>')
    expect(page).toContain('5 things need your attention:')
  })

  test('tell how long to wait in words, rounded up', () => {
    expect(html('login', 'rate limited')).toContain('Please wait 2 minutes, then try again.')
    expect(html('rate_limited', 'seconds')).toContain('Try again in 1 second.')
    expect(html('rate_limited', 'hours')).toContain('Try again in 3 hours.')
  })

  test('carry the continuation as hidden fields when signing out on an interstitial', () => {
    const page = html('account_locked', 'plain')
    expect(page).toContain('action="/auth/logout"')
    expect(page).toContain('<input type="hidden" name="kind" value="continue_authorization_grant">')
    expect(page).toContain('<input type="hidden" name="id" value="01JDFX2V9S6QK3W4Z5Y7T8R9PA">')
  })

  test('consent keeps the grant for another account, and sends the answer as action', () => {
    const page = html('consent', 'known client')
    expect(page).toContain('<input type="hidden" name="id" value="01JDFX2V9S6QK3W4Z5Y7T8R9PA">')
    expect(page).toContain('name="action" value="consent"')
    expect(page).toContain('name="action" value="cancel"')
    expect(page).toContain('Afterwards you go back to tern.example.')
  })
})
