import { claimCaptcha } from '../../sql/captcha.ts'
import type { Db } from '../../sql/connect.ts'
import type { Deps } from '../deps.ts'
import type { PagePolicy } from '../http/headers.ts'
import type { Params } from '../http/params.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds } from '../lib/clock.ts'
import { equalSecrets, hmacSha256, sha256 } from '../lib/digest.ts'
import type { FieldError, FormError } from '../render/contexts.ts'
import type { CaptchaBox } from '../render/contexts-captcha.ts'
import { SERVICES, verifyWithService } from './captcha-services.ts'
import { limitSubject, take } from './limits.ts'
import { checkProof, createProof, readProof } from './proof-of-work.ts'
import type { Visit } from './visit.ts'

/**
 * The check against robots of a form that makes an account. An answer that was right becomes a pass: a signed text that
 * goes along when the form comes back with a mistake in another field, so that nobody is asked twice. The pass is used
 * up with the sign-up that it lets through.
 */

/** Seconds that a pass is good for after a service of others confirmed an answer. */
const PASS_LIFETIME = 1800
/** Seconds before a browser without script may send the form: filling it in takes about that. */
const WAIT = 20
/** Forms of browsers that calculate nothing, from everybody together: robots would all come this way. */
const WAITED = { burst: 30, per_second: 1 / 60 }

type Needs = Pick<Deps, 'config' | 'sql' | 'clock' | 'random' | 'secrets' | 'fetch' | 'log'>

/** What came of the answer in a form. */
export type CaptchaResult =
  | { result: 'passed'; pass: string }
  | { result: 'failed'; error: FieldError }
  | { result: 'unavailable'; formError: FormError }

/** Whether a form that makes an account has a check against robots. */
export const asksForCaptcha = ({ config }: Pick<Deps, 'config'>): boolean =>
  config.captcha.service !== undefined

/**
 * Checks what a form answers. With the proof of work a browser that runs no script may wait in place of calculating;
 * how many do is limited for everybody together.
 *
 * @throws RateLimited
 */
export async function checkCaptcha(deps: Needs, visit: Visit, form: Params): Promise<CaptchaResult> {
  const { service } = deps.config.captcha
  if (service === undefined) throw new Error('no check against robots is set up')
  const { captcha_pass: pass } = form
  if (pass !== undefined && openPass(deps, visit, pass)) return { result: 'passed', pass }
  if (service === 'altcha') return checkAltcha(deps, visit, form)
  const response = form[SERVICES[service].field]?.trim() ?? ''
  if (response === '') return { result: 'failed', error: { code: 'required' } }
  const verdict = await verifyWithService(deps, service, response, visit.requester.ip)
  if (verdict === 'unavailable') return { result: 'unavailable', formError: { code: 'captcha_unavailable' } }
  if (verdict === 'failed') return { result: 'failed', error: { code: 'failed' } }
  const expiresAt = addSeconds(deps.clock.now(), PASS_LIFETIME)
  return { result: 'passed', pass: makePass(deps, visit, base64url(deps.random.bytes(16)), expiresAt) }
}

async function checkAltcha(deps: Needs, visit: Visit, form: Params): Promise<CaptchaResult> {
  const { altcha = '', altcha_challenge: field = '' } = form
  if (altcha !== '') {
    const solved = await checkProof(deps, visit.browser.id, altcha)
    if (solved) return { result: 'passed', pass: makePass(deps, visit, solved.id, solved.expiresAt) }
    return { result: 'failed', error: { code: 'failed' } }
  }
  const given = await readProof(deps, visit.browser.id, field)
  if (!given) return { result: 'failed', error: { code: 'required' } }
  const waited = (deps.clock.now().getTime() - given.issuedAt.getTime()) / 1000
  if (waited < WAIT)
    return { result: 'failed', error: { code: 'wait', args: { seconds: Math.ceil(WAIT - waited) } } }
  await take(deps, 'captcha.waited', limitSubject(undefined), WAITED)
  deps.log.info('captcha.waited', { ip: visit.requester.ip })
  return { result: 'passed', pass: makePass(deps, visit, given.id, given.expiresAt) }
}

/** What a form shows: the widget, or that it was answered. A challenge goes on that the form had and nobody solved. */
export async function captchaBox(
  deps: Needs,
  visit: Visit,
  { pass, challenge }: { pass?: string | undefined; challenge?: string | undefined } = {},
): Promise<CaptchaBox | undefined> {
  const { service, site_key } = deps.config.captcha
  if (service === undefined) return undefined
  if (pass !== undefined) return { service, pass }
  if (service === 'altcha') {
    const known = challenge !== undefined && (await readProof(deps, visit.browser.id, challenge))
    return { service, challenge: known ? challenge : await createProof(deps, visit.browser.id) }
  }
  return {
    service,
    ...(site_key !== undefined && { site_key }),
    script: SERVICES[service].script(visit.lang),
  }
}

/** What the page of a box may load from elsewhere (decision 5): what its widget needs, and nothing once it is passed. */
export const captchaPolicy = (box: CaptchaBox | undefined): Pick<PagePolicy, 'thirdParty'> =>
  box && box.service !== 'altcha' && box.pass === undefined
    ? { thirdParty: SERVICES[box.service].sources }
    : {}

/** Uses up a pass, in the transaction that begins the sign-up; false when it was used before. */
export async function claimPass(
  deps: Pick<Deps, 'secrets' | 'clock'>,
  tx: Db,
  visit: Visit,
  pass: string,
): Promise<boolean> {
  const opened = openPass(deps, visit, pass)
  if (!opened) return false
  const [claimed] = await claimCaptcha(tx, sha256(`captcha\n${opened.id}`), opened.expiresAt)
  return claimed !== undefined
}

const makePass = (deps: Pick<Deps, 'secrets'>, visit: Visit, id: string, expiresAt: Date): string => {
  const said = `${id}.${expiresAt.getTime()}`
  return `${said}.${signature(deps, visit, said)}`
}

/** A pass of ours that this browser was given and that has not run out. */
function openPass(
  deps: Pick<Deps, 'secrets' | 'clock'>,
  visit: Visit,
  pass: string,
): { id: string; expiresAt: Date } | undefined {
  const [, said = '', id = '', expires, mac = ''] =
    /^(([\w-]{16,64})\.(\d{1,15}))\.([\w-]{43})$/.exec(pass) ?? []
  if (!equalSecrets(mac, signature(deps, visit, said))) return undefined
  const expiresAt = new Date(Number(expires))
  return expiresAt > deps.clock.now() ? { id, expiresAt } : undefined
}

const signature = ({ secrets }: Pick<Deps, 'secrets'>, { browser }: Visit, said: string): string =>
  base64url(hmacSha256(secrets.captcha, `pass\n${said}\n${browser.id}`))
