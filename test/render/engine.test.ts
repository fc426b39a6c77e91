import { afterAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createViews } from '../../src/render/engine.ts'
import { safeAddress } from '../../src/render/functions.ts'
import { OverlayError } from '../../src/render/overlay.ts'
import { sampleBase } from '../../src/render/sample-base.ts'
import { createTranslate } from '../../src/render/translate.ts'

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url))
const translate = createTranslate({ directory: `${VIEWS}/locales` })
const base = sampleBase('en', (name) => `/auth/assets/${name}`)
const overlay = mkdtempSync(join(tmpdir(), 'views-'))
mkdirSync(join(overlay, 'pages'))
afterAll(() => rmSync(overlay, { recursive: true }))

const withPage = (source: string) => {
  writeFileSync(join(overlay, 'pages/not_found.html'), source)
  return createViews({ directory: VIEWS, overlay, translate })
}

test('an overlay directory replaces single templates and keeps the others', () => {
  const views = withPage('<p>Mind the gap {{ server_name }}</p>')
  expect(views.page('not_found', {}, base)).toBe('<p>Mind the gap example.org</p>')
  expect(views.page('session_ended', { continuation: '' }, base)).toContain('You were signed out')
})

test('a template with a syntax error stops the start, in one sentence with its file and line', () => {
  expect(() => withPage('<p>\n{% if %}')).toThrow(
    new OverlayError(
      `templates.overlay_path: ${overlay}/pages/not_found.html, line 2: syntax error: unexpected end of block.`,
    ),
  )
})

test.each([
  ['/nowhere/at/all', "can't be read (ENOENT)"],
  [fileURLToPath(import.meta.url), 'is not a folder'],
])('templates.overlay_path %s stops the start: it %s', (path, reason) => {
  expect(() => createViews({ directory: VIEWS, overlay: path, translate })).toThrow(
    new OverlayError(`templates.overlay_path: ${path} ${reason}.`),
  )
})

test('an undefined variable, an unknown message and an endless template are errors, and rendering goes on after', () => {
  for (const source of [
    '{{ no_such_variable }}',
    "{{ t('no.such.key') }}",
    "{{ t('consent.title') }}",
    "{{ asset('no-such-file.css') }}",
    '{% for a in range(9000) %}{% for b in range(9000) %}{{ b }}{% endfor %}{% endfor %}',
  ]) {
    const views = withPage(source)
    expect(() => views.page('not_found', {}, failing), source).toThrow(/Page not_found did not render/)
    expect(views.page('rate_limited', { retry_after_seconds: 5 }, base), source).toContain('5 seconds')
  }
})

const failing = {
  ...base,
  assets: (name: string): string => {
    if (name.startsWith('no-such')) throw new Error(`No static file ${name}`)
    return name
  },
}

test('a key that is present but undefined or null counts as absent', () => {
  const views = withPage('{{ "yes" if session is defined else "no" }}')
  const loose = { ...base, session: undefined } as unknown as typeof base
  expect(views.page('not_found', {}, loose)).toBe('no')
})

test('templates cannot reach anything of the process', () => {
  for (const source of ["{{ ''.__class__ }}", '{{ process.env }}', "{% include '../../package.json' %}"]) {
    expect(() => withPage(source).page('not_found', {}, base), source).toThrow()
  }
})

test('values of every kind of place are escaped: text, attribute, message argument', () => {
  const views = withPage(
    `{{ server_name }}|<a title="{{ server_name }}">|{{ t('layout.plate', server=server_name) }}`,
  )
  const html = views.page('not_found', {}, { ...base, server_name: `<i>"'&#x2f;/` })
  expect(html).toBe(
    '&lt;i&gt;&quot;&#x27;&amp;#x2f;/|<a title="&lt;i&gt;&quot;&#x27;&amp;#x2f;/">|Accounts for &lt;i&gt;&quot;&#x27;&amp;#x2f;/',
  )
})

test('safeAddress: lets through web addresses, paths and app schemes, and nothing that runs in our origin', () => {
  for (const address of [
    'https://a.example/b?c=d',
    '/auth/',
    'com.example.app:/callback',
    'http://[::1]:9/x',
  ]) {
    expect(safeAddress(address)).toBe(address)
  }
  for (const address of [
    'javascript:alert(1)',
    ' JaVaScRiPt:alert(1)',
    'java\nscript:alert(1)',
    '\u0001javascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'blob:https://a.example/x',
    'https://[bad',
  ]) {
    expect(safeAddress(address)).toBe('')
  }
})
