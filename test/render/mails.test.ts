import { describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isNoticed, SECURITY_EVENT_KINDS } from '../../src/identity/security-log.ts'
import type { MailName, RenderedMail } from '../../src/render/contexts-mail.ts'
import { createViews } from '../../src/render/engine.ts'
import { HOSTILE } from '../../src/render/sample-base.ts'
import { mailSampleBase, mailSamples } from '../../src/render/samples-mail.ts'
import { createTranslate, directionOf } from '../../src/render/translate.ts'

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url))
const translate = createTranslate({ directory: `${VIEWS}/locales` })
const views = createViews({ directory: VIEWS, translate })

interface Sent extends RenderedMail {
  name: MailName
  label: string
  lang: string
}

const names = Object.keys(mailSamples) as MailName[]
const all: Sent[] = names.flatMap((name) =>
  translate.languages.flatMap((lang) =>
    mailSamples[name].map(({ label, context, base }) => ({
      name,
      label,
      lang,
      ...views.mail(name, context, { ...mailSampleBase(lang), ...base }),
    })),
  ),
)
const where = (mail: Sent): string => `${mail.name} / ${mail.label} / ${mail.lang}`

describe('every mail with every sample in every language', () => {
  test('has a subject, text and HTML, and a template of each', () => {
    for (const mail of all) {
      expect(mail.subject, where(mail)).toMatch(/^\S.*\S$/)
      expect(mail.text.length, where(mail)).toBeGreaterThan(40)
      expect(mail.html, where(mail)).toStartWith('<!doctype html>')
      expect(mail.html, where(mail)).toContain(`<html lang="${mail.lang}" dir="${directionOf(mail.lang)}">`)
    }
    const templates = views.templates.filter((name) => name.startsWith('emails/'))
    expect(templates).toEqual(
      names.flatMap((name) => ['html', 'subject', 'txt'].map((end) => `emails/${name}.${end}`)).sort(),
    )
  })

  test('leaves no template syntax, raw key or undefined in the text; the text part is not escaped', () => {
    for (const mail of all.filter(({ label }) => label !== 'hostile')) {
      for (const part of [mail.subject, mail.text, mail.html.replaceAll(/<[^>]*>/g, ' ')])
        expect(part, where(mail)).not.toMatch(/\{\{|\{%|\bundefined\b|\bnone\b|\bmail\.\w|security_event/)
      expect(mail.text, where(mail)).not.toMatch(/&(amp|lt|gt|quot|#x?\w+);/)
    }
  })

  test('what somebody chose is text: no markup, one line of subject', () => {
    const hostile = all.filter(({ label }) => label === 'hostile')
    expect(hostile.length).toBeGreaterThan(0)
    for (const mail of hostile) {
      expect(mail.html, where(mail)).not.toContain(HOSTILE)
      expect(mail.html, where(mail)).not.toMatch(/<script|<img src=x|onerror='/)
      expect(mail.html + mail.text, where(mail)).not.toContain('{{ 49 }}')
      expect(mail.subject, where(mail)).not.toMatch(/[\r\n]/)
    }
  })

  test('loads nothing from elsewhere but the operator’s logo, and runs nothing', () => {
    for (const mail of all) {
      expect(mail.html, where(mail)).not.toMatch(/<(script|link|iframe|form|input)\b/i)
      expect(mail.html, where(mail)).not.toMatch(/href="\s*(javascript|data):/i)
    }
  })
})

test('every notice has a sample', () => {
  const shown = mailSamples.security_notice.map(({ context }) => context.event)
  expect(SECURITY_EVENT_KINDS.filter((kind) => isNoticed(kind) && !shown.includes(kind))).toEqual([])
})

test('every kind of event has a text in each language, and a notice where it is one', () => {
  for (const lang of translate.languages)
    for (const kind of SECURITY_EVENT_KINDS) {
      expect(translate.has(lang, `security_event.${kind}`), kind).toBe(true)
      expect(translate.has(lang, `mail.notice.${kind}`), kind).toBe(isNoticed(kind))
    }
})

test('an operator’s own file stands in for one of ours, and only .html is escaped', async () => {
  const overlay = await mkdtemp(join(tmpdir(), 'mails-'))
  try {
    await mkdir(join(overlay, 'emails'))
    await writeFile(join(overlay, 'emails', 'test.subject'), 'Try {{ server_name }}\n')
    await writeFile(join(overlay, 'emails', 'test.txt'), 'Own text & {{ server_name }}\n')
    const own = createViews({ directory: VIEWS, overlay, translate })
    const mail = own.mail('test', {}, { ...mailSampleBase('en'), server_name: 'a<b>' })
    expect([mail.subject, mail.text]).toEqual(['Try a<b>', 'Own text & a<b>\n'])
    expect(mail.html).toContain('a&lt;b&gt;')
    expect(views.mail('test', {}, mailSampleBase('en')).subject).toBe('Mail works')
  } finally {
    await rm(overlay, { recursive: true })
  }
})
