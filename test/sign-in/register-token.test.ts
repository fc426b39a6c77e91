import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness({
    config: {
      account: {
        password_registration_enabled: true,
        password_registration_email_required: false,
        password_registration_token_required: true,
      },
    },
  })
})
afterAll(() => harness.close())

const invite = async (usageLimit: number | null = 1, expiresAt: Date | null = null): Promise<string> => {
  const made = await createRegistrationToken(harness.deps, { usageLimit, expiresAt })
  if (!made) throw new Error('There is such a token already.')
  return made.token
}

/** Fills the first form, and gives the page that comes next. */
async function begin(username: string, start = '/register', browser = harness.browser()) {
  const form = await browser.open(start)
  return form.submit(
    { username, password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
}

const exists = async (username: string): Promise<boolean> =>
  (await harness.deps.sql`select 1 from latchkey.users where username = ${username}`).length > 0

describe('sign-up with an invitation', () => {
  test('asks for it after the form, takes a good one, and counts it once', async () => {
    const token = await invite()
    const step = await begin('anna')
    expect(step.url.pathname).toEndWith('/token')
    expect(step.text).toContain('Do you have an invitation?')
    const name = await step.submit({ token: ` ${token} ` })
    expect(name.url.pathname).toEndWith('/display-name')
    await name.submit({ display_name: 'Anna', action: 'set' })
    expect(await exists('anna')).toBe(true)
    const [row] = await harness.deps
      .sql`select times_used from latchkey.registration_tokens order by id desc limit 1`
    expect(row?.times_used).toBe(1)
  })

  test('a link carries it, so that nobody has to type it', async () => {
    const step = await begin('ben', `/register?token=${await invite()}`)
    expect(step.url.pathname).toEndWith('/display-name')
    await step.submit({ display_name: 'Ben', action: 'set' })
    expect(await exists('ben')).toBe(true)
  })

  test('a link with a bad one asks for another', async () => {
    expect((await begin('cara', '/register?token=nonsense')).url.pathname).toEndWith('/token')
  })

  test.each([
    ['', 'Enter your invitation.'],
    ['nonsense', 'This invitation does not work.'],
    ['with "quotes" and <b>', 'This invitation does not work.'],
  ])('%p is refused with a sentence', async (token, sentence) => {
    const answer = await (await begin(`dora-${token.length}`)).submit({ token })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain(sentence)
  })

  test('one that expired or was revoked does not work', async () => {
    const expired = await invite(1, new Date('2026-01-01T00:00:00Z'))
    const answer = await (await begin('emil')).submit({ token: expired })
    expect(answer.status).toBe(422)
  })

  test('no step can be left out: the last page leads back to the one that is missing', async () => {
    const browser = harness.browser()
    const step = await begin('fay', '/register', browser)
    const skipped = await browser.open(step.url.pathname.replace(/token$/, 'display-name'))
    expect(skipped.url.pathname).toEndWith('/token')
    expect(await exists('fay')).toBe(false)
  })

  test('two sign-ups with the last use of one: one account, and the other is asked for another invitation', async () => {
    const token = await invite(1)
    const pages = []
    for (const username of ['gina', 'gus']) {
      const name = await (await begin(username)).submit({ token })
      expect(name.url.pathname).toEndWith('/display-name')
      pages.push(name)
    }
    const answers = await Promise.all(pages.map((page) => page.submit({ display_name: 'G', action: 'set' })))
    expect(answers.filter(({ url }) => url.pathname.endsWith('/token'))).toHaveLength(1)
    expect([await exists('gina'), await exists('gus')].filter((made) => made)).toHaveLength(1)
    const [again] = answers.filter(({ url }) => url.pathname.endsWith('/token'))
    const name = await again?.submit({ token: await invite() })
    await name?.submit({ display_name: 'G', action: 'set' })
    expect([await exists('gina'), await exists('gus')]).toEqual([true, true])
  })
})

describe('a name while its sign-up lives', () => {
  test('is reserved for the browser that began, and free again after an hour', async () => {
    const browser = harness.browser()
    await begin('holly', '/register', browser)
    const other = await begin('Holly'.toLowerCase())
    expect(other.status).toBe(422)
    expect(other.text).toContain('This username is taken.')
    const again = await browser.open('/register')
    const own = await again.submit({}, { action: 'register/resume', button: ['action', 'continue'] })
    expect(own.url.pathname).toEndWith('/token')
    harness.clock.advance(3601)
    expect((await begin('holly')).url.pathname).toEndWith('/token')
  })

  test('that is taken comes with free ones like it', async () => {
    const { text } = await begin('anna')
    expect(text).toContain('Free names like it:')
    expect(text).toContain('anna2')
    expect(text).not.toContain('@anna2:')
  })
})
