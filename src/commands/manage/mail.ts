import { listFailedMails, reviveMails } from '../../../sql/mails.ts'
import { parseEmail } from '../../identity/email-address.ts'
import { openMail } from '../../identity/mails.ts'
import { transact } from '../../lib/transact.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import { MailError } from '../../mail/transport.ts'
import { FALLBACK_LANGUAGE } from '../../render/translate.ts'
import { CommandError, type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { runJobs, withLatchkey } from './with-latchkey.ts'

/** Mails that one list shows. */
const LIMIT = 1000

/** `latchkey manage send-test-mail`. */
export async function sendTestMail(this: Context, flags: ConfigOnly, input: string): Promise<void> {
  const address = parseEmail(input)
  if (address === undefined) throw new CommandError(`${input} is not an email address.`)
  await withLatchkey(this, flags, async (deps) => {
    try {
      const to = { address, name: '' }
      await deps.mail.send('test', { to, lang: FALLBACK_LANGUAGE, context: {} })
    } catch (error) {
      if (!(error instanceof MailError)) throw error
      throw new CommandError(`No mail was sent: ${error.message}${error.answer && `: ${error.answer}`}`)
    }
    say(this, `The mail server took a mail to ${address}. Look whether it arrives.`)
  })
}

/** `latchkey manage list-undelivered-mail`. */
export async function listUndeliveredMail(
  this: Context,
  flags: ConfigOnly & { json?: boolean },
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const mails = await listFailedMails(deps.sql, false, LIMIT)
    if (flags.json) {
      const records = mails.map(async (mail) => ({
        id: ulidFromUuid(mail.id),
        kind: mail.kind,
        to: (await openMail(deps, mail))?.to.address ?? null,
        attempts: mail.attempts,
        given_up_at: mail.given_up_at?.toISOString() ?? null,
        failure: mail.failure,
      }))
      return say(this, JSON.stringify(await Promise.all(records)))
    }
    for (const mail of mails) {
      const content = await openMail(deps, mail)
      const tries = `${mail.attempts} ${mail.attempts === 1 ? 'attempt' : 'attempts'}`
      const state = mail.given_up_at ? `given up after ${tries}` : `${tries}, tried again soon`
      const to = content?.to.address ?? 'somebody (sealed under a key that is gone)'
      // One line whatever the mail server answered.
      const failure = (mail.failure ?? '').replace(/\p{Cc}+/gu, ' ')
      say(this, `${ulidFromUuid(mail.id)} ${mail.kind} to ${to}: ${state}: ${failure}`)
    }
    if (mails.length === 0) this.process.stderr.write('All mail was sent, or waits for its first attempt.\n')
  })
}

/** `latchkey manage retry-mail`. */
export async function retryMail(this: Context, flags: ConfigOnly, ulid?: string): Promise<void> {
  const id = ulid === undefined ? null : uuidFromUlid(ulid)
  if (id === undefined) throw new CommandError(`${ulid} is not the id of a mail.`)
  await withLatchkey(this, flags, async (deps) => {
    const revived = await transact(deps.sql, async (tx) => {
      const mails = await reviveMails(tx, id, deps.clock.now())
      for (const mail of mails) await deps.jobs.enqueue(tx, 'send-mail', { mail_id: mail.id })
      return mails
    })
    if (revived.length === 0)
      throw new CommandError('There is no such mail that was given up and is still of use.')
    await runJobs(deps)
    const left = (await listFailedMails(deps.sql, false, LIMIT)).filter(({ id }) =>
      revived.some((mail) => mail.id === id),
    )
    say(this, `Sent ${revived.length - left.length} of ${revived.length}.`)
  })
}
