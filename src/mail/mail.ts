import { deleteMail, findMail, type MailRow, noteMailFailure } from '../../sql/mails.ts'
import type { Deps } from '../deps.ts'
import { brandingOf } from '../http/branding.ts'
import { type MailContent, openMail } from '../identity/mails.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import type { MailBase, MailContexts, MailName } from '../render/contexts-mail.ts'
import { directionOf } from '../render/translate.ts'
import { createTransport, MailError, type Transport } from './transport.ts'

/** Sends mail. */
export interface Mail {
  /**
   * Sends a mail of the outbox and removes it; does nothing when it is not there any more. A failure is noted with the
   * mail and thrown, so that the queue tries again; after the last attempt, or when the mail server refuses the mail
   * for good, the mail stays where operators see it.
   *
   * @throws MailError
   */
  deliver(mailId: string): Promise<void>
  /** Sends a mail at once, without the outbox. @throws MailError */
  send<N extends MailName>(name: N, content: MailContent<N>): Promise<void>
  /** Connects to the mail server and signs in there. @throws MailError */
  check(): Promise<void>
}

/** Attempts until a mail is given up: about seven hours, with the pauses of the queue. */
const ATTEMPTS = 17

type Needs = Pick<Deps, 'config' | 'urls' | 'sql' | 'clock' | 'random' | 'secrets' | 'views' | 'log'>

/** Mail as the configuration says; the library for it is loaded at the first one. */
export function createMail(deps: Needs, transport?: Transport): Mail {
  const { config, log } = deps
  const out = transport ?? createTransport(config.email, new URL(deps.urls.base).hostname)
  const sends = config.email.transport !== 'blackhole'

  const send = async (
    id: string,
    name: MailName,
    { to, lang, timeZone, context }: MailContent,
  ): Promise<void> => {
    const rendered = deps.views.mail(
      name,
      context as MailContexts[typeof name],
      mailBase(deps, lang, timeZone),
    )
    const host = /@([^\s<>@]+)>?$/.exec(config.email.from)?.[1] ?? 'localhost'
    await out.send({ ...rendered, to, messageId: `<${id}@${host}>` })
  }

  const attempt = async (mail: MailRow): Promise<void> => {
    const content = await openMail(deps, mail)
    if (!content) throw new MailError('sealed under a key that is gone', '', true)
    await send(ulidFromUuid(mail.id), mail.kind as MailName, content)
  }

  const noteFailure = async (mail: MailRow, failure: string, givenUp: boolean): Promise<void> => {
    await noteMailFailure(deps.sql, mail.id, failure, givenUp, deps.clock.now())
    const { id: mail_id, kind, attempts } = mail
    if (givenUp) log.error('mail.given_up', { mail_id, kind, attempts: attempts + 1 })
    else log.info('mail.failed', { mail_id, kind, attempts: attempts + 1 })
  }

  return {
    async deliver(mailId) {
      const [mail] = await findMail(deps.sql, mailId)
      if (!mail || mail.given_up_at) return
      if (mail.expires_at && mail.expires_at <= deps.clock.now())
        return noteFailure(mail, mail.failure ?? 'it ran out before it could be sent', true)
      try {
        if (sends) await attempt(mail)
      } catch (error) {
        const known = error instanceof MailError
        const givenUp = (known && error.permanent) || mail.attempts + 1 >= ATTEMPTS
        // Of another error not even the message: a template knows what the mail says.
        await noteFailure(mail, known ? `${error.message}: ${error.answer}` : 'it could not be made', givenUp)
        if (!givenUp) throw error
        return
      }
      log.info(sends ? 'mail.sent' : 'mail.dropped', { mail_id: mail.id, kind: mail.kind })
      await deleteMail(deps.sql, mail.id)
    },
    send: async (name, content) => {
      if (!sends) throw new MailError('email.transport is blackhole', 'nothing is sent', true)
      await send(ulidFromUuid(newId(deps.clock.now(), deps.random)), name, content)
    },
    check: async () => {
      if (sends) await out.check()
    },
  }
}

function mailBase(deps: Needs, lang: string, timeZone: string | undefined): MailBase {
  return {
    lang,
    dir: directionOf(lang),
    branding: brandingOf(deps.config),
    server_name: deps.config.matrix.homeserver,
    account_uri: deps.urls.absolute('/account/'),
    now: deps.clock.now().toISOString(),
    ...(timeZone !== undefined && { time_zone: timeZone }),
  }
}
