import { afterAll, beforeAll, expect, test } from 'bun:test'
import { brandingOf } from '../../src/http/branding.ts'
import { renderSamples } from '../../src/render/render-samples.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { signUp } from '../support/oauth.ts'

const BRANDING = {
  service_name: 'The Lighthouse',
  logo_uri: 'https://media.example/logo.png',
  favicon_uri: 'https://icons.example/tab.png',
  contact_uri: 'mailto:help@example.org',
  policy_uri: 'https://example.org/privacy',
  imprint: 'Lighthouse Association',
  links: [{ name: 'Status <page>', uri: 'https://status.example/?a=1&b=2' }],
  colours: { accent: 'violet' },
}
/** What every page and mail has to show of it. */
const SHOWN = [
  'The Lighthouse',
  'src="https://media.example/logo.png"',
  'href="mailto:help@example.org"',
  'href="https://example.org/privacy"',
  'href="https://status.example/?a=1&amp;b=2"',
  'Status &lt;page&gt;',
  'Lighthouse Association',
]

let harness: Harness
beforeAll(async () => {
  harness = await createHarness({ config: { branding: BRANDING } as never })
})
afterAll(() => harness.close())

test('branding: name, logo, favicon, colours, links and contact are on pages of every kind', async () => {
  const browser = harness.browser()
  await signUp(browser, 'keeper')
  for (const address of ['/', '/login', '/account/', '/account/profile', '/no-such-page', '/authorize']) {
    const { text, headers } = await (address === '/login' ? harness.browser() : browser).open(address)
    for (const part of [...SHOWN, 'href="https://icons.example/tab.png"', 'data-accent="violet"'])
      expect([address, text.includes(part), part]).toEqual([address, true, part])
    const policy = headers.get('content-security-policy')
    expect(policy).toContain("img-src 'self' https://media.example https://icons.example;")
  }
})

test('branding: mails have name, logo, colour, links and contact', async () => {
  const sent: { text: string; html: string }[] = []
  const { createMail } = await import('../../src/mail/mail.ts')
  const config = {
    ...harness.deps.config,
    email: { ...harness.deps.config.email, transport: 'smtp' as const },
  }
  const mail = createMail({ ...harness.deps, config }, {
    send: async (message: { text: string; html: string }) => void sent.push(message),
    check: async () => {},
  } as never)
  await mail.send('test', { to: { address: 'a@example.test', name: 'a' }, lang: 'en', context: {} })
  const [message] = sent
  for (const part of [...SHOWN, '#5c3a9c']) expect(message?.html).toContain(part)
  for (const part of ['The Lighthouse', 'mailto:help@example.org', 'Status <page>: https://status.example/'])
    expect(message?.text).toContain(part)
})

test('branding: every page and every mail in every state has all of it, but for the page that only passes a form on', () => {
  const { views, translate, config } = harness.deps
  const languages = translate.names.filter(({ tag }) => tag === 'en')
  const branding = brandingOf(config)
  const branded: typeof views = {
    ...views,
    page: (name, context, base) => views.page(name, context, { ...base, branding }),
    mail: (name, context, base) => views.mail(name, context, { ...base, branding }),
  }
  const seen = new Set<string>()
  for (const { template, label, parts = {} } of renderSamples(branded, {
    languages,
    asset: (name) => `/${name}`,
  })) {
    if (template === 'pages/form_post') continue
    seen.add(template)
    const colour = template.startsWith('pages/') ? 'data-accent="violet"' : '#5c3a9c'
    const tab = template.startsWith('pages/') ? ['href="https://icons.example/tab.png"'] : []
    const missing = [...SHOWN, colour, ...tab].filter((part) => !parts.html?.includes(part))
    expect([template, label, missing]).toEqual([template, label, []])
    if (parts.txt === undefined) continue
    const words = [
      'The Lighthouse',
      'mailto:help@example.org',
      'Status <page>: https://status.example/',
      'Lighthouse Association',
    ]
    expect([template, label, words.filter((word) => !parts.txt?.includes(word))]).toEqual([
      template,
      label,
      [],
    ])
  }
  expect(seen.size).toBeGreaterThan(60)
})
