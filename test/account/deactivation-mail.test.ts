import { afterAll, beforeAll, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { addEmail } from '../../src/identity/emails.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { PASSWORD, signUp } from '../support/oauth.ts'

let server: MailServer
let harness: Harness
beforeAll(async () => {
  server = await startMailServer()
  harness = await createHarness({
    config: { email: mailConfig(server), account: { deactivation_grace_period: 14 * 86_400 } },
  })
})
afterAll(async () => {
  await harness.close()
  await server.close()
})

test('the mail of a deactivation arrives, and the link in it takes it back, once', async () => {
  const browser = harness.browser()
  await signUp(browser, 'leaver')
  const { sql } = harness.deps
  const [user] = await findUserByName(sql, 'leaver', 'leaver')
  await addEmail(harness.deps, sql, user?.id ?? '', 'leaver@mail.test')
  const explained = await browser.open('/account/deactivate')
  const sure = await explained.submit({}, { action: 'account/deactivate' })
  const gone = await sure.submit({ confirm: 'leaver' }, { action: 'account/deactivate' })
  expect(gone.status).toBe(200)
  expect((await browser.open('/account/')).url.pathname).toBe('/login')
  await harness.runJobs()
  const mail = server.last('leaver@mail.test')
  expect(mail.headers.from).toContain('accounts@example.test')
  expect([mail.text, mail.html].map((part) => part.includes('@leaver:example.test'))).toEqual([true, true])
  const [link = ''] = /http:\/\/auth\.test\/account\/deactivate\/undo\?ticket=\S+/.exec(mail.text) ?? []
  expect(mail.html).toContain(link)

  // What opens every link of a mail changes nothing.
  const anybody = harness.browser()
  const asked = await anybody.open(link)
  const signIn = async () =>
    (await harness.browser().open('/login')).submit(
      { username: 'leaver', password: PASSWORD },
      { action: 'login' },
    )
  expect((await signIn()).text).toContain('locked')
  const done = await asked.submit({}, { action: 'undo' })
  expect(done.status).toBe(200)
  expect((await signIn()).url.pathname).toBe('/')
  expect((await anybody.open(link)).status).toBe(410)
})
