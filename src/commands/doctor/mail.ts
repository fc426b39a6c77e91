import { createTransport, MailError } from '../../mail/transport.ts'
import { type Finding, findingsOf, paste } from './finding.ts'
import { DEADLINE } from './reach.ts'
import type { Site } from './site.ts'

/** The mail server: connects and signs in, and sends nothing. */
export async function checkMail({ config, urls }: Site): Promise<Finding[]> {
  const { ok, warning, failed, skipped } = findingsOf('mail')
  const { email, account } = config
  if (email.transport === 'blackhole') {
    if (!account.password_registration_email_required || !account.password_registration_enabled)
      return [skipped('email.transport is blackhole: no mail is sent.')]
    return [
      failed(
        'Sign-up needs an email address, and no mail is sent (email.transport is blackhole).',
        paste(
          'Name a mail server, or do without addresses:',
          'config.yaml',
          'email:',
          '  transport: smtp',
          '  mode: starttls',
          '  hostname: smtp.example.org',
        ),
      ),
    ]
  }
  const transport = createTransport(email, new URL(urls.base).hostname, { timeout: DEADLINE })
  const server = email.transport === 'smtp' ? (email.hostname ?? 'localhost') : (email.command ?? 'sendmail')
  try {
    await transport.check()
  } catch (error) {
    if (!(error instanceof MailError)) throw error
    return [
      failed(`${server} does not take mail from us: ${error.message}; ${error.answer.slice(0, 200)}`, {
        mend: 'Correct hostname, port, mode, username and password in the section email, then: latchkey manage send-test-mail you@example.org',
      }),
    ]
  }
  if (/@localhost>?$/.test(email.from))
    return [
      warning(
        `${server} takes our connection, but email.from is ${email.from}: many mail servers refuse that.`,
        paste(
          'Name a sender of your domain:',
          'config.yaml',
          'email:',
          `  from: '"Accounts" <accounts@${config.matrix.homeserver}>'`,
        ),
      ),
    ]
  return [
    ok(
      `${server} takes our connection. Whether mail arrives: latchkey manage send-test-mail you@example.org`,
    ),
  ]
}
