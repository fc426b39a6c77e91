import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { killSessions, lock } from '../../src/identity/lifecycle.ts'
import { csrfOf } from '../support/account.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { signUp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

let people = 0
async function person(): Promise<{ browser: Browser; id: string }> {
  const name = `person${++people}`
  const browser = harness.browser()
  await signUp(browser, name)
  await harness.runJobs()
  const [user] = await findUserByName(harness.deps.sql, name, name)
  return { browser, id: user?.id ?? '' }
}

/** Sends a form whose body comes only after `meanwhile`. */
async function sendSlowly(
  browser: Browser,
  path: string,
  fields: Record<string, string>,
  meanwhile: () => Promise<unknown>,
): Promise<Response> {
  const csrf = csrfOf(await browser.open(path))
  return sendBodySlowly(browser, path, formOf(new URLSearchParams({ csrf, ...fields })), meanwhile)
}

const formOf = (body: URLSearchParams | FormData) =>
  new Request('http://auth.test/', { method: 'POST', body })

async function sendBodySlowly(
  browser: Browser,
  path: string,
  form: Request,
  meanwhile: () => Promise<unknown>,
): Promise<Response> {
  const type = form.headers.get('content-type') ?? ''
  const bytes = await form.bytes()
  // Nothing is prepared: this is called when the server asks for the body, and so knows who sends it.
  const body = new ReadableStream(
    {
      async pull(controller) {
        await meanwhile()
        controller.enqueue(bytes)
        controller.close()
      },
    },
    { highWaterMark: 0 },
  )
  return harness.request(path, {
    method: 'POST',
    body,
    headers: {
      'content-type': type,
      cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
    },
    ...({ duplex: 'half' } as object),
  })
}

describe('a form that comes slowly', () => {
  const TOKEN = { token_name: 'x', scope_matrix_api: '1', expires: 'never' }

  test('does nothing any more when its session ended meanwhile: who is signed out holds no door open', async () => {
    const { browser, id } = await person()
    const answer = await sendSlowly(browser, '/account/tokens/new', TOKEN, () =>
      killSessions(harness.deps, id),
    )
    expect(answer.status).toBe(422)
    expect(await answer.text()).not.toContain('mpt_')
    const rows = await harness.database.sql`select from latchkey.personal_sessions where user_id = ${id}`
    expect(rows).toHaveLength(0)
  })

  test('nor when the account was locked', async () => {
    const { browser, id } = await person()
    const answer = await sendSlowly(browser, '/account/emails/add', { email: 'new@example.com' }, () =>
      lock(harness.deps, id),
    )
    expect(answer.status).toBe(422)
    const rows = await harness.database.sql`select from latchkey.email_verifications where user_id = ${id}`
    expect(rows).toHaveLength(0)
  })

  test('nor one with a file', async () => {
    const { browser, id } = await person()
    const form = new FormData()
    form.set('csrf', csrfOf(await browser.open('/account/profile')))
    form.set('picture', new File([Uint8Array.fromHex('89504e470d0a1a0a0000')], 'x.png'))
    await sendBodySlowly(browser, '/account/profile/picture', formOf(form), () =>
      killSessions(harness.deps, id),
    )
    expect(JSON.stringify(harness.logged)).not.toContain('user.picture_set')
  })

  test('works as any other when nothing happened meanwhile', async () => {
    const { browser } = await person()
    const answer = await sendSlowly(browser, '/account/tokens/new', TOKEN, async () => {})
    expect(answer.status).toBe(200)
    expect(await answer.text()).toContain('mpt_')
  })
})
