import { type EmailVerificationRow, findRegistrationVerification } from '../../../sql/email-verifications.ts'
import { findRegistration, type RegistrationRow } from '../../../sql/registrations.ts'
import type { Deps } from '../../deps.ts'
import { browserHash } from '../../http/browser.ts'
import { PageError } from '../../http/errors.ts'
import { type Continuation, storedContinuation } from '../../identity/continuation.ts'
import { needsToken, SIGN_UP_LIFETIME } from '../../identity/sign-up.ts'
import type { Visit } from '../../identity/visit.ts'
import { addSeconds } from '../../lib/clock.ts'
import { equalBytes } from '../../lib/digest.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import { type Flow, openFlow } from '../../oauth/grant-context.ts'

/** A sign-up of this browser, with where it leads. */
export interface Step {
  registration: RegistrationRow
  /** The address that must be proven, where one is asked for. */
  verification: EmailVerificationRow | undefined
  continuation: Continuation
  /** What is known of the request that it leads to. */
  flow: Flow
}

/** @throws PageError when it is unknown, over, or another browser's */
export async function findStep(deps: Deps, visit: Visit, ulid: string): Promise<Step> {
  const id = uuidFromUlid(ulid)
  const [registration] = id === undefined ? [] : await findRegistration(deps.sql, id)
  if (!registration || !equalBytes(registration.browser_hash, browserHash(visit.browser)))
    throw new PageError('registration_not_found', 404)
  const continuation = storedContinuation(registration.continuation)
  const flow = await openFlow(deps, visit, continuation)
  if (!registration.completed_at && addSeconds(registration.created_at, SIGN_UP_LIFETIME) <= deps.clock.now())
    throw new PageError('registration_expired', 410)
  const [verification] = await findRegistrationVerification(deps.sql, registration.id)
  return { registration, verification, continuation, flow }
}

/** A page of a sign-up: `token`, `verify-email`, `display-name`, `waiting`, or `finish`, which leads to the next. */
export const stepPath = (registrationId: string, step: string): string =>
  `/register/steps/${ulidFromUuid(registrationId)}/${step}`

/** The page that a sign-up must see next: the first step that is not done, or where a finished one leads. */
export function nextPath(
  deps: Pick<Deps, 'config'>,
  { registration, verification, continuation }: Step,
): string {
  if (registration.needs_approval) return stepPath(registration.id, 'waiting')
  if (registration.completed_at) return continuation.path
  if (needsToken(deps, registration) && registration.registration_token_id === null)
    return stepPath(registration.id, 'token')
  if (verification && !verification.completed_at) return stepPath(registration.id, 'verify-email')
  return stepPath(registration.id, 'display-name')
}
