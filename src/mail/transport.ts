import type { Config } from '../config/schema.ts'
import { codeOf, messageOf } from '../lib/thrown.ts'
import type { RenderedMail } from '../render/contexts-mail.ts'

type EmailConfig = Config['email']

/** A mail in the form that a mail server gets. */
export interface Message extends RenderedMail {
  /** One address, and the name of its person. */
  to: { address: string; name: string }
  /** Of this mail alone, and the same at every attempt: a mail that arrives twice is seen as one. */
  messageId: string
}

/** Hands mail over to a mail server or program. */
export interface Transport {
  /** @throws MailError */
  send(message: Message): Promise<void>
  /** Connects and signs in, and sends nothing. @throws MailError */
  check(): Promise<void>
}

/**
 * Why a mail could not be handed over. The message has codes only, fit for the log; `answer` is what the mail server
 * said, which may name the address: it is not enumerable, since the queue keeps a copy of what a job throws.
 */
export class MailError extends Error {
  override readonly name = 'MailError'
  readonly #answer: string
  /** The mail server refuses this mail or this recipient, and would again. */
  readonly permanent: boolean

  constructor(reason: string, answer: string, permanent: boolean) {
    super(`the mail could not be handed over (${reason})`)
    this.#answer = answer
    this.permanent = permanent
  }

  get answer(): string {
    return this.#answer
  }
}

/** Milliseconds that a mail server may take for a step, and for a whole mail: a job ends after two minutes. */
const STEP_TIMEOUT = 15_000
const TIMEOUT = 60_000

const PORTS = { plain: 25, starttls: 587, tls: 465 } as const
const DEFAULT_SENDER = '"Authentication Service" <root@localhost>'

/** What only tests say: how long a mail may take in milliseconds, and whose certificates are good. */
export interface TransportOptions {
  timeout?: number
  ca?: string
}

/** The transport of the configuration. `helo` is how this server calls itself to a mail server. */
export function createTransport(
  config: EmailConfig,
  helo: string,
  { timeout = TIMEOUT, ca }: TransportOptions = {},
): Transport {
  let loading: ReturnType<typeof load> | undefined
  const load = async () => {
    // Loaded for the first mail: 0.1 s and 25 MB that most commands never need.
    const { createTransport: create } = await import('nodemailer')
    const safe = { disableFileAccess: true, disableUrlAccess: true } as const
    if (config.transport === 'sendmail')
      return create({ sendmail: true, path: config.command ?? 'sendmail', ...safe })
    const mode = config.mode ?? 'tls'
    return create({
      host: config.hostname ?? 'localhost',
      port: config.port ?? PORTS[mode],
      name: helo,
      secure: mode === 'tls',
      requireTLS: mode === 'starttls',
      ignoreTLS: mode === 'plain',
      connectionTimeout: STEP_TIMEOUT,
      greetingTimeout: STEP_TIMEOUT,
      socketTimeout: STEP_TIMEOUT,
      dnsTimeout: STEP_TIMEOUT,
      ...(config.username !== undefined && { auth: { user: config.username, pass: config.password ?? '' } }),
      ...(ca !== undefined && { tls: { ca } }),
      ...safe,
    })
  }
  const run = async (act: (mailer: Awaited<ReturnType<typeof load>>) => Promise<unknown>): Promise<void> => {
    loading ??= load()
    const mailer = await loading
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(new MailError('ETIMEDOUT', 'no answer in time', false)),
      timeout,
    )
    try {
      await Promise.race([act(mailer), late.promise])
    } catch (error) {
      throw asMailError(error)
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    send: ({ to, subject, text, html, messageId }) =>
      run((mailer) =>
        mailer.sendMail({
          from: config.from,
          // Nobody answers to the example of the default.
          ...(config.reply_to !== config.from &&
            config.reply_to !== DEFAULT_SENDER && { replyTo: config.reply_to }),
          to,
          subject,
          text,
          html,
          messageId,
          // Vacation notices and the like must not answer (RFC 3834 section 5).
          headers: { 'Auto-Submitted': 'auto-generated' },
        }),
      ),
    check: () => run(async (mailer) => ('verify' in mailer ? mailer.verify() : undefined)),
  }
}

function asMailError(error: unknown): MailError {
  if (error instanceof MailError) return error
  const code = codeOf(error) ?? 'unknown'
  const status =
    error instanceof Error && 'responseCode' in error && typeof error.responseCode === 'number'
      ? error.responseCode
      : undefined
  const answer = error instanceof Error && 'response' in error ? String(error.response) : messageOf(error)
  // A refused sign-in is the operator's to mend, and 503 says that the session was in a wrong state.
  const permanent =
    status !== undefined && status >= 500 && status !== 503 && /^E(ENVELOPE|MESSAGE)$/.test(code)
  return new MailError(status === undefined ? code : `${code} ${status}`, answer.slice(0, 500), permanent)
}
