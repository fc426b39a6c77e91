import type { Deps } from '../deps.ts'
import type { ThirdParty } from '../http/headers.ts'
import type { CaptchaBox } from '../render/contexts-captcha.ts'

/** Services of others that tell people from robots. */
export type ForeignService = Exclude<CaptchaBox['service'], 'altcha'>

/** How a service is used, after its vendor's documentation. */
export interface ServiceFacts {
  /** The field that its widget adds to the form. */
  field: string
  /** Where an answer is checked. */
  verifier: string
  /** The script of its widget, for a page in a language. */
  script(lang: string): string
  /** What its page may load besides our own. */
  sources: ThirdParty
}

export const SERVICES: Readonly<Record<ForeignService, ServiceFacts>> = {
  // recaptcha.net and not google.com, as in MAS: it is reached where google.com is not.
  recaptcha_v2: {
    field: 'g-recaptcha-response',
    verifier: 'https://www.recaptcha.net/recaptcha/api/siteverify',
    script: (lang) => `https://www.recaptcha.net/recaptcha/api.js?hl=${lang}`,
    sources: {
      script: ['https://www.recaptcha.net/recaptcha/', 'https://www.gstatic.com/recaptcha/'],
      frame: ['https://www.recaptcha.net/recaptcha/', 'https://recaptcha.google.com/recaptcha/'],
      connect: ['https://www.recaptcha.net/recaptcha/'],
    },
  },
  hcaptcha: {
    field: 'h-captcha-response',
    verifier: 'https://api.hcaptcha.com/siteverify',
    // Without its compatibility mode, which would send the same answer in reCAPTCHA's field too.
    script: (lang) => `https://js.hcaptcha.com/1/api.js?recaptchacompat=off&hl=${lang}`,
    sources: {
      script: ['https://hcaptcha.com', 'https://*.hcaptcha.com'],
      frame: ['https://hcaptcha.com', 'https://*.hcaptcha.com'],
      style: ['https://hcaptcha.com', 'https://*.hcaptcha.com'],
      connect: ['https://hcaptcha.com', 'https://*.hcaptcha.com'],
    },
  },
  cloudflare_turnstile: {
    field: 'cf-turnstile-response',
    verifier: 'https://challenges.cloudflare.com/turnstile/v0/siteverify',
    script: () => 'https://challenges.cloudflare.com/turnstile/v0/api.js',
    sources: {
      script: ['https://challenges.cloudflare.com'],
      frame: ['https://challenges.cloudflare.com'],
    },
  },
}

/** Milliseconds that a service has to answer. */
const DEADLINE = 5000
/** Characters of an answer: a few hundred are usual. */
const RESPONSE_LIMIT = 16_384

/** Codes that say that we are not set up well, or that the service is not: no fault of whoever signs up. */
const NOT_THEIR_FAULT =
  /^(missing-input-secret|invalid-input-secret|invalid-keys|bad-request|internal-error|sitekey-secret-mismatch|invalid-sitekey|not-using-dummy-secret|invalid-remoteip)$/

/** What a service says of an answer. `unavailable`: nothing that could be used. */
export type Verdict = 'passed' | 'failed' | 'unavailable'

/**
 * Has a service check an answer of its widget (reference operations 11). Codes that nobody knows are read over: what
 * counts is `success`, and that the answer was given on a page of ours.
 */
export async function verifyWithService(
  deps: Pick<Deps, 'config' | 'fetch' | 'log'>,
  service: ForeignService,
  response: string,
  ip: string | undefined,
): Promise<Verdict> {
  const { secret_key: secret = '' } = deps.config.captcha
  const body = new URLSearchParams({ secret, response, ...(ip !== undefined && { remoteip: ip }) })
  let answer: Record<string, unknown>
  try {
    const reply = await deps.fetch(SERVICES[service].verifier, {
      method: 'POST',
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(DEADLINE),
    })
    answer = readAnswer(await reply.text())
  } catch (error) {
    deps.log.error('captcha.unavailable', { service, error })
    return 'unavailable'
  }
  if (answer.success === true) {
    const expected = new URL(deps.config.http.public_base).hostname
    if (answer.hostname === expected) return 'passed'
    deps.log.warn('captcha.wrong_host', { service, hostname: text(answer.hostname), expected })
    return 'failed'
  }
  const codes = Array.isArray(answer['error-codes']) ? answer['error-codes'].map(text) : []
  if (answer.success !== false || codes.some((code) => NOT_THEIR_FAULT.test(code))) {
    deps.log.error('captcha.unavailable', { service, codes })
    return 'unavailable'
  }
  deps.log.info('captcha.failed', { service, codes, ip })
  return 'failed'
}

/** @throws SyntaxError, RangeError when it is none of a service */
function readAnswer(body: string): Record<string, unknown> {
  if (body.length > RESPONSE_LIMIT) throw new RangeError('The answer is too long.')
  const value: unknown = JSON.parse(body)
  if (typeof value !== 'object' || value === null) throw new SyntaxError('The answer is no object.')
  return { ...value }
}

/** What a stranger's server wrote, short enough for the log. */
const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 100) : typeof value)
