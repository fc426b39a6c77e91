import type { Db } from '../../sql/connect.ts'
import { insertMail, type MailRow } from '../../sql/mails.ts'
import type { Deps } from '../deps.ts'
import { newId } from '../lib/ulid.ts'
import type { MailContexts, MailName } from '../render/contexts-mail.ts'

/** A mail to one person, before it is rendered. */
export interface MailContent<N extends MailName = MailName> {
  to: { address: string; name: string }
  /** The recipient's language, and zone where it is known. */
  lang: string
  timeZone?: string
  context: MailContexts[N]
}

/** What `queueMail` needs. */
export type MailNeeds = Pick<Deps, 'config' | 'clock' | 'random' | 'secrets' | 'jobs' | 'log'>

/**
 * Writes a mail in the caller's transaction, and the job that sends it: a mail server that is down never undoes or
 * delays what the mail is about. Contents are sealed until they are sent, since they may hold a code or a link; the
 * job holds an id only. After `expiresAt` the mail is not sent any more. With the transport `blackhole` nothing is
 * written.
 */
export async function queueMail<N extends MailName>(
  deps: MailNeeds,
  tx: Db,
  name: N,
  content: MailContent<N>,
  expiresAt: Date | null = null,
): Promise<void> {
  if (deps.config.email.transport === 'blackhole') {
    deps.log.info('mail.dropped', { kind: name, reason: 'email.transport is blackhole' })
    return
  }
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const sealedContent = await deps.secrets.seal(JSON.stringify(content), sealContext(id))
  await insertMail(tx, { id, kind: name, sealedContent, expiresAt, now })
  await deps.jobs.enqueue(tx, 'send-mail', { mail_id: id })
}

/** The contents of a mail; undefined when the key that they were sealed under is gone. */
export async function openMail(
  deps: Pick<Deps, 'secrets'>,
  mail: Pick<MailRow, 'id' | 'sealed_content'>,
): Promise<MailContent | undefined> {
  const text = await deps.secrets.open(mail.sealed_content, sealContext(mail.id))
  return text === undefined ? undefined : (JSON.parse(text) as MailContent)
}

const sealContext = (id: string): string => `mail:${id}`
