import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { latchkey, newFolder } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

let folder: Awaited<ReturnType<typeof newFolder>>
beforeAll(async () => {
  folder = await newFolder()
  await latchkey(['config', 'generate', '--homeserver', 'example.test', '-o', 'new.yaml'], {
    cwd: folder.path,
  })
})
afterAll(() => folder.remove())

const put = (name: string, source: string) => Bun.write(join(folder.path, name), source)
const check = async (templates: string, ...more: string[]) => {
  const text = await readFile(join(folder.path, 'new.yaml'), 'utf8')
  await put('texts.yaml', `${text}\ntemplates: { ${templates} }\n`)
  return latchkey(['templates', 'check', '-c', 'texts.yaml', ...more], { cwd: folder.path })
}

test('latchkey templates check: our own pages and mails, and good ones of the operator, pass in every language', async () => {
  await put('good/pages/not_found.html', "{% extends 'layouts/base.html' %}{% block main %}Hm.{% endblock %}")
  await put('good/emails/test.subject', 'It works at {{ server_name }}')
  const { code, out } = await check('overlay_path: good')
  expect(code).toBe(0)
  expect(out).toMatch(/^\d{3,} pages and mails in \d+ languages: all good\.\n$/)
})

test('every fault of a page, of a mail and of a message is named once, with file and line; stray files too', async () => {
  await put('own/pages/not_found.html', '<p>\n{{ no_such_thing }}\n')
  await put('own/pages/logn.html', '<p>')
  await put('own/emails/test.txt', "Hello\n\n{{ t('no.such.key') }}\n")
  // Only one state of the page comes there.
  await put('own/pages/recover_gone.html', '\n\n{% if not recovery_enabled %}{{ no_such_state }}{% endif %}')
  const { code, out, err } = await check('overlay_path: own')
  expect(code).toBe(1)
  expect(err).toMatch(/^3 faults in \d+ pages and mails\.\n$/)
  const lines = out.split('\n')
  const of = (file: string) => lines.filter((line) => line.includes(file))
  expect(of('not_found.html')).toHaveLength(1)
  expect(of('not_found.html')[0]).toMatch(/^own\/pages\/not_found\.html, line 2: undefined value\. Seen in /)
  expect(of('test.txt')[0]).toMatch(/^own\/emails\/test\.txt, line 3: No message no\.such\.key/)
  expect(of('recover_gone.html')[0]).toMatch(/^own\/pages\/recover_gone\.html, line 3: /)
  expect(of('logn.html')[0]).toContain('nothing uses it')
})

test('every fault of the operator’s own texts is named once, with file and line: arguments, format, JSON; unused and missing ones too', async () => {
  const lines = [
    '{',
    '  "login.title": "Come in, {nobody}",',
    '  "no.such.text": "Unused",',
    '  "own.greeting": "Hello"',
    '}',
  ]
  await put('texts/de.json', lines.join('\n'))
  await put('texts/cy.json', '{\n  "login.title": "Mewngofnodi"\n}\n')
  await put(
    'with/pages/not_found.html',
    "{% extends 'layouts/base.html' %}{% block main %}{{ t('own.greeting') if lang == 'de' }}{% endblock %}",
  )
  const both = 'overlay_path: with, translations_overlay_path: texts'
  const wrong = await check(both)
  expect([wrong.code, wrong.err.includes('1 faults in ')]).toEqual([1, true])
  const of = (what: string) => wrong.out.split('\n').filter((line) => line.includes(what))
  expect(of('nobody')).toEqual(['texts/de.json, line 2: login.title has {nobody}, which is not given to it.'])
  expect(of('no.such.text')).toEqual(['Warning: texts/de.json, line 3: nothing uses the text no.such.text.'])
  expect(of('own.greeting')).toEqual([])
  expect(of('cy.json')).toEqual([
    expect.stringMatching(/^Warning: texts\/cy\.json: \d{3,} texts are missing and will be English\.$/),
  ])
  await put('texts/de.json', lines.with(1, '  "login.title": "Come in, {name",').join('\n'))
  expect((await check(both)).err).toMatch(
    /texts\/de\.json, line 2: the message login\.title is not in ICU MessageFormat/,
  )
  await put('texts/de.json', lines.with(2, '  "no.such.text": "Unused"').join('\n'))
  expect((await check(both)).err).toMatch(/texts\/de\.json, line 3: is not JSON/)
})

test('--out-dir writes what was rendered, --stabilise the same in every run', async () => {
  for (const name of ['one', 'two']) await check('', '--stabilise', '--out-dir', name)
  const pages = await readdir(join(folder.path, 'one/de/pages'))
  expect(pages).toContain('not_found.plain.html')
  expect(await readdir(join(folder.path, 'one/en/emails'))).toContain('test.plain.subject')
  for (const file of pages)
    expect(await Bun.file(join(folder.path, 'two/de/pages', file)).text()).toBe(
      await Bun.file(join(folder.path, 'one/de/pages', file)).text(),
    )
})
