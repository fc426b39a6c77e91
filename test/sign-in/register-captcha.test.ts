import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import { challengeOf, solve } from '../support/altcha.ts'
import type { Browser, Page } from '../support/browser.ts'
import { type CaptchaService, startCaptchaService } from '../support/captcha-service.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD } from '../support/oauth.ts'

const SECRET = 'the-secret-of-the-service'
const VENDORS = [
  ['recaptcha_v2', 'g-recaptcha-response', 'www.recaptcha.net', 'g-recaptcha'],
  ['hcaptcha', 'h-captcha-response', 'hcaptcha.com', 'h-captcha'],
  ['cloudflare_turnstile', 'cf-turnstile-response', 'challenges.cloudflare.com', 'cf-turnstile'],
] as const

let service: CaptchaService
const harnesses: Harness[] = []
beforeAll(() => {
  service = startCaptchaService({ secret: SECRET, hostOf: () => 'auth.test' })
})
afterEach(() => {
  service.say(undefined)
})
afterAll(async () => {
  for (const harness of harnesses.reverse()) await harness.close()
  await service.stop()
})

/** A service with a check against robots; people need no address. */
async function start(captcha: object, options: { beside?: Harness; secret?: string } = {}): Promise<Harness> {
  const harness = await createHarness({
    ...(options.beside && { beside: options.beside }),
    outgoingFetch: service.fetch,
    config: {
      captcha: captcha as { service: 'altcha' },
      account: { password_registration_enabled: true, password_registration_email_required: false },
    },
  })
  harnesses.push(harness)
  return harness
}
const vendor = (name: string, secret_key = SECRET) => start({ service: name, site_key: 'public', secret_key })

const fill = (username: string, fields: Record<string, string> = {}) => ({
  username,
  password: PASSWORD,
  password_confirm: PASSWORD,
  ...fields,
})
const send = (page: Page, username: string, fields: Record<string, string> = {}): Promise<Page> =>
  page.submit(fill(username, fields), { action: 'register/password' })
const begin = async (browser: Browser, username: string, fields: Record<string, string> = {}) =>
  send(await browser.open('/register'), username, fields)

/** Where a form led: to the next step, or back to its page with an error at a field. */
const outcome = (page: Page): [status: number, what: string] => [
  page.status,
  page.url.pathname.endsWith('/display-name')
    ? 'on'
    : (/id="([a-z_]+)-error"/.exec(page.text)?.[1] ?? 'the form as a whole'),
]
const policyOf = (page: Page): string => page.headers.get('content-security-policy') ?? ''

describe.each(VENDORS)('sign-up with %s', (name, field, host, element) => {
  let harness: Harness
  beforeAll(async () => {
    harness = await vendor(name)
  })

  test('GET /register: the widget, its script, and a policy that lets in that service alone', async () => {
    const page = await harness.browser().open('/register')
    expect(page.text).toContain(`class="${element}" data-sitekey="public"`)
    expect(policyOf(page)).toMatch(new RegExp(`script-src 'self' https://([a-z]+\\.)?${host}`))
    expect(policyOf(page)).toContain('frame-src https://')
    for (const [, , other] of VENDORS) if (other !== host) expect(policyOf(page)).not.toContain(other)
    expect(policyOf(page)).not.toContain('unsafe')
    expect(page.text).not.toContain(SECRET)
    expect(page.text).toContain('<noscript>')
    const login = await harness.browser().open('/login')
    expect(policyOf(login)).not.toContain('http')
    expect(policyOf(login)).not.toContain('frame-src')
  })

  test('a good answer lets the sign-up begin; the service hears secret, answer and address', async () => {
    service.asked.length = 0
    expect(outcome(await begin(harness.browser(), 'anna', { [field]: `good-${name}-1` }))).toEqual([
      200,
      'on',
    ])
    expect(service.asked.map(({ fields }) => fields)).toEqual([
      expect.objectContaining({ secret: SECRET, response: `good-${name}-1` }),
    ])
  })

  test.each([
    ['', 'none'],
    ['invalid-input-response', 'wrong'],
    ['timeout-or-duplicate', 'used'],
    ['a-code-of-next-year', 'unknown'],
    ['elsewhere', 'given on another page'],
  ])('%j (%s) is an error at its field, and what was typed stays', async (response) => {
    const page = await begin(harness.browser(), 'ben', { [field]: response })
    expect(outcome(page)).toEqual([422, 'captcha'])
    expect(page.text).toContain('value="ben"')
    expect(page.text).not.toContain(PASSWORD)
  })

  test('an answer in the field of another service is none', async () => {
    const other = VENDORS.find(([one]) => one !== name)?.[1] ?? ''
    expect(outcome(await begin(harness.browser(), 'ben', { [other]: `good-${name}-2` }))).toEqual([
      422,
      'captcha',
    ])
  })

  test('a mistake in another field does not burn it: the form comes back with a pass in place of the widget', async () => {
    const page = await begin(harness.browser(), 'Not A Name', { [field]: `good-${name}-3` })
    expect(outcome(page)).toEqual([422, 'username'])
    expect(page.text).not.toContain(element)
    expect(policyOf(page)).not.toContain(host)
    service.asked.length = 0
    const next = await send(page, 'carla')
    expect([outcome(next), service.asked]).toEqual([[200, 'on'], []])
    // Once more with the same pass, as a second window could.
    expect(outcome(await send(page, 'carla2'))).toEqual([422, 'captcha'])
  })

  test('a pass of another browser, an old one and a made-up one are none', async () => {
    const page = await begin(harness.browser(), 'Not A Name', { [field]: `good-${name}-4` })
    const pass = /name="captcha_pass" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    expect(pass).not.toBe('')
    expect(outcome(await begin(harness.browser(), 'dora', { captcha_pass: pass }))).toEqual([422, 'captcha'])
    expect(outcome(await send(page, 'dora', { captcha_pass: `x${pass}` }))).toEqual([422, 'captcha'])
    harness.clock.advance(1801)
    expect(outcome(await send(page, 'dora'))).toEqual([422, 'captcha'])
  })

  test.each([
    '',
    'Bad gateway',
    '[]',
    '{"success":"yes"}',
    '{"success":false,"error-codes":["internal-error"]}',
  ])('a service that says %j is an outage: 503, and the form stays', async (body) => {
    service.say(body)
    const page = await begin(harness.browser(), 'emil', { [field]: 'good' })
    expect(outcome(page)).toEqual([503, 'the form as a whole'])
    expect(page.headers.get('retry-after')).toBe('5')
    expect(page.text).toContain('does not answer right now')
    expect(page.text).toContain('value="emil"')
  })

  test('a secret that the service does not know is an outage, told to the operator and not to people', async () => {
    const wrong = await vendor(name, 'mistyped')
    expect(outcome(await begin(wrong.browser(), 'emil', { [field]: 'good' }))).toEqual([
      503,
      'the form as a whole',
    ])
    const logged = wrong.logged.filter(({ event }) => event === 'captcha.unavailable')
    expect(logged).toEqual([
      {
        level: 'error',
        event: 'captcha.unavailable',
        fields: { service: name, codes: ['invalid-input-secret'] },
      },
    ])
  })

  test('an invitation in the link spares the check, is used up with the account, and one that is bad does not', async () => {
    const made = await createRegistrationToken(harness.deps, { usageLimit: 1, expiresAt: null })
    const link = `/register?token=${made?.token}`
    const page = await harness.browser().open(link)
    expect(page.text).not.toContain(element)
    const step = await send(page, 'frieda')
    const rival = await send(await harness.browser().open(link), 'greta')
    expect([outcome(step), outcome(rival)]).toEqual([
      [200, 'on'],
      [200, 'on'],
    ])
    await step.submit({ display_name: 'Frieda', action: 'set' })
    const late = await rival.submit({ display_name: 'Greta', action: 'set' })
    expect(late.url.pathname).toEndWith('/token')
    const bad = await send(await harness.browser().open('/register?token=nothing'), 'hanna')
    expect(outcome(bad)).toEqual([422, 'captcha'])
    expect(bad.text).toContain(element)
  })
})

test('a service that does not answer within five seconds is an outage', async () => {
  const harness = await vendor('hcaptcha')
  service.hang = true
  const page = await begin(harness.browser(), 'emil', { 'h-captcha-response': 'good' })
  service.hang = false
  expect(outcome(page)).toEqual([503, 'the form as a whole'])
})

describe('sign-up with the proof of work', () => {
  let harness: Harness
  let other: Harness
  beforeAll(async () => {
    harness = await start({ service: 'altcha' })
    other = await start({ service: 'altcha' }, { beside: harness })
  })
  const challengeFor = async (browser: Browser): Promise<[Page, string]> => {
    const page = await browser.open('/register')
    return [page, challengeOf(page)]
  }

  test('GET /register: a challenge, and a policy as strict as everywhere', async () => {
    const [page, challenge] = await challengeFor(harness.browser())
    const { parameters, signature } = JSON.parse(atob(challenge))
    expect([parameters.algorithm, signature]).toEqual([
      'PBKDF2/SHA-256',
      expect.stringMatching(/^[0-9a-f]{64}$/),
    ])
    expect(policyOf(page)).toContain("script-src 'self';")
    expect(policyOf(page)).not.toContain('http')
  })

  test('a solution lets one sign-up begin, whichever process sees it', async () => {
    const browser = harness.browser()
    const [page, challenge] = await challengeFor(browser)
    const altcha = await solve(challenge)
    expect(outcome(await send(page, 'iris', { altcha }))).toEqual([200, 'on'])
    expect(outcome(await send(page, 'iris2', { altcha }))).toEqual([422, 'captcha'])
    const elsewhere = other.browser()
    for (const [name, value] of browser.cookies) elsewhere.cookies.set(name, value)
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const third = await elsewhere.post('/register/password', fill('iris3', { altcha, csrf }))
    expect(outcome(third)).toEqual([422, 'captcha'])
  })

  test('the same form twice, as a double click sends it, is one sign-up', async () => {
    const [page, challenge] = await challengeFor(harness.browser())
    const altcha = await solve(challenge)
    const both = await Promise.all([send(page, 'jule', { altcha }), send(page, 'jule', { altcha })])
    expect(both.map(outcome)).toEqual([
      [200, 'on'],
      [200, 'on'],
    ])
    expect(new Set(both.map(({ url }) => url.href)).size).toBe(1)
  })

  test('two that race with one solution: one begins', async () => {
    const [page, challenge] = await challengeFor(harness.browser())
    const altcha = await solve(challenge)
    const both = await Promise.all([send(page, 'jana', { altcha }), send(page, 'jasmin', { altcha })])
    expect(both.map((one) => outcome(one)[0]).sort()).toEqual([200, 422])
  })

  test('a mistake in another field does not lose it', async () => {
    const [page, challenge] = await challengeFor(harness.browser())
    const again = await send(page, 'No Name', { altcha: await solve(challenge) })
    expect(outcome(again)).toEqual([422, 'username'])
    expect(again.text).not.toContain('altcha_challenge')
    expect(outcome(await send(again, 'karla'))).toEqual([200, 'on'])
  })

  test('one that is too old, of another browser, of an easier challenge or of nothing is refused', async () => {
    const browser = harness.browser()
    const [page, challenge] = await challengeFor(browser)
    const altcha = await solve(challenge)
    const { challenge: solved, solution } = JSON.parse(atob(altcha))
    const pack = (value: unknown) => btoa(JSON.stringify(value))
    const bad = [
      pack({ challenge: { ...solved, parameters: { ...solved.parameters, keyPrefix: '0' } }, solution }),
      pack({ challenge: { ...solved, signature: '0'.repeat(64) }, solution }),
      pack({ challenge: { parameters: solved.parameters }, solution }),
      pack({
        challenge: solved,
        solution: { ...solution, counter: solution.counter + 1, derivedKey: '00'.repeat(32) },
      }),
      pack({ challenge: solved }),
      pack({ solution }),
      pack(null),
      pack('x'),
      btoa('{'),
      'ø',
      '['.repeat(3000),
      btoa('['.repeat(2900)),
      'x'.repeat(5000),
    ]
    for (const text of bad)
      expect([text.slice(0, 40), outcome(await send(page, 'lena', { altcha: text }))]).toEqual([
        text.slice(0, 40),
        [422, 'captcha'],
      ])
    expect(outcome(await begin(harness.browser(), 'lena', { altcha }))).toEqual([422, 'captcha'])
    harness.clock.advance(3601)
    expect(outcome(await send(page, 'lena', { altcha }))).toEqual([422, 'captcha'])
  })

  test('a browser without script waits: too soon is told with the seconds, the same form later goes on', async () => {
    const [page] = await challengeFor(harness.browser())
    harness.clock.advance(5)
    const soon = await send(page, 'mona')
    expect(outcome(soon)).toEqual([422, 'captcha'])
    expect(soon.text).toContain('another 15 seconds')
    expect(challengeOf(soon)).toBe(challengeOf(page))
    harness.clock.advance(15)
    expect(outcome(await send(soon, 'mona'))).toEqual([200, 'on'])
    expect(outcome(await send(soon, 'mona2'))).toEqual([422, 'captcha'])
  })

  test('how many wait in place of calculating is limited for everybody together; who calculates is let in', async () => {
    harness.clock.advance(7200)
    const pages: Page[] = []
    for (let at = 0; at < 32; at++) pages.push(await harness.browser().open('/register'))
    harness.clock.advance(20)
    const statuses: number[] = []
    for (const [at, page] of pages.entries()) statuses.push((await send(page, `nobody${at}`)).status)
    expect(statuses.filter((status) => status === 200).length).toBe(30)
    expect(statuses.at(-1)).toBe(429)
    const [page, challenge] = await challengeFor(harness.browser())
    expect(outcome(await send(page, 'olga', { altcha: await solve(challenge) }))).toEqual([200, 'on'])
  })

  test('what is used up is forgotten when it is too old to be used', async () => {
    harness.clock.advance(3601)
    const { jobHandlers } = await import('../../src/jobs/handlers.ts')
    await jobHandlers(harness.deps)['clean-up']({})
    const rows = await harness.deps.sql`select 1 from latchkey.captcha_uses`
    expect(rows.length).toBe(0)
  })
})
