import { describe, expect, test } from 'bun:test'
import { createClaimTemplates } from '../../src/render/claim-templates.ts'

const templates = createClaimTemplates()
const user = {
  sub: '17',
  email: 'ada@harbour.example',
  groups: ['crew', 'officers'],
  name: null,
  id: 9007199254740991,
  card: 'AQNBZGECBUJ5cm9u',
}

describe('claim templates', () => {
  test.each([
    ['{{ user.sub }}', '17'],
    ['{{ user.id }}', '9007199254740991'],
    ["{{ user.email.split('@')[0] }}", 'ada'],
    ["{{ user.email.replace('@harbour.example', '').upper() }}", 'ADA'],
    ["{{ (user.email | split('@')) | first }}", 'ada'],
    ["{{ user.groups | join('+') }}", 'crew+officers'],
    ["{{ user.nobody | default('x') }}", 'x'],
    ["{{ 'aGk_' | b64decode }}", 'hi?'],
    ["{{ 'hi?' | b64encode }}", 'aGk/'],
    ['{{ (user.card | b64decode | tlvdecode)[1] | string }}', 'Ada'],
    ['{{ (user.card | b64decode | tlvdecode)[2] }}', 'Byron'],
    ['{{ (\'{"a":{"b":[1,2]}}\' | from_json).a.b[1] }}', '2'],
    ["{{ ('//79' | b64decode) | b64encode }}", '//79'],
    ["{{ 'a b/c' | urlencode }}", 'a%20b%2Fc'],
    ["{{ ' one  two three ' | wordcount }}", '3'],
    ["{{ 'one two three' | wordwrap(7) }}", 'one two\nthree'],
    ["{{ 'one two three' | wordwrap(width=3) }}", 'one\ntwo\nthree'],
    // These are the engine's own.
    ["{{ 'abc def ghi' | truncate(length=5) }}", 'ab...'],
    ["{{ '<b>x</b>' | striptags }}", 'x'],
    ['{{ 1000000 | filesizeformat }}', '1.0 MB'],
    ['group{{ user.groups | length | pluralize }}', 'groups'],
    ['  {{ user.sub }}\n', '17'],
    ['<{{ user.sub }}>', '<17>'],
  ])('%s gives %s', (template, text) => {
    expect(templates.render(template, { user })).toBe(text)
  })

  test.each(['', '   ', '{{ user.nobody }}', '{{ user.name }}', "{{ '' }}"])(
    '%j gives nothing',
    (template) => {
      expect(templates.render(template, { user })).toBeUndefined()
    },
  )

  test.each([
    '{{ user.nobody.at.all }}',
    '{{ 1 + }}',
    "{{ 'x' | from_json }}",
    "{{ '!' | b64decode }}",
    "{{ 'AQU=' | b64decode | tlvdecode }}",
    '{% for a in range(9000) %}{% for b in range(9000) %}x{% endfor %}{% endfor %}',
    "{% include 'pages/login.html' %}",
  ])('%s fails, and the next one works', (template) => {
    expect(() => templates.render(template, { user })).toThrow()
    expect(templates.render('{{ user.sub }}', { user })).toBe('17')
  })

  test('a broken template is found without anybody who signs in', () => {
    expect(templates.fault('{{ user.nobody.at.all }}')).toBeUndefined()
    expect(templates.fault('{{ 1 + }}')).toContain('syntax error')
  })

  test('expressions hold or do not', () => {
    expect(templates.holds("'crew' in user.groups", { user })).toBe(true)
    expect(templates.holds("user.email.endswith('@evil.example')", { user })).toBe(false)
    expect(templates.holds('user.nobody', { user })).toBe(false)
    expect(() => templates.holds('user.nobody.at.all', { user })).toThrow()
  })
})
