import { type EmailVerificationRow, findRegistrationVerification } from '../../../sql/email-verifications.ts'
import { findRegistration, type RegistrationRow } from '../../../sql/registrations.ts'
import type { Deps } from '../../deps.ts'
import { browserHash } from '../../http/browser.ts'
import { PageError } from '../../http/errors.ts'
import { type Continuation, readContinuation } from '../../identity/continuation.ts'
import type { Visit } from '../../identity/visit.ts'
import { addSeconds } from '../../lib/clock.ts'
import { equalBytes } from '../../lib/digest.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'

/** Seconds that a sign-up may take. */
export const LIFETIME = 3600

/** A sign-up of this browser, with where it leads. */
export interface Step {
  registration: RegistrationRow
  /** The address that must be proven, where one is asked for. */
  verification: EmailVerificationRow | undefined
  continuation: Continuation
}

/** @throws PageError when it is unknown, over, or another browser's */
export async function findStep(deps: Deps, visit: Visit, ulid: string): Promise<Step> {
  const id = uuidFromUlid(ulid)
  const [registration] = id === undefined ? [] : await findRegistration(deps.sql, id)
  if (!registration || !equalBytes(registration.browser_hash, browserHash(visit.browser)))
    throw new PageError('registration_not_found', 404)
  if (!registration.completed_at && addSeconds(registration.created_at, LIFETIME) <= deps.clock.now())
    throw new PageError('registration_expired', 410)
  const [verification] = await findRegistrationVerification(deps.sql, registration.id)
  return {
    registration,
    verification,
    continuation: readContinuation(Object.fromEntries(new URLSearchParams(registration.continuation))),
  }
}

/** A page of a sign-up: `token`, `verify-email`, `display-name`. */
export const stepPath = (registrationId: string, step: string): string =>
  `/register/steps/${ulidFromUuid(registrationId)}/${step}`

/** Whether people need an invitation to sign up with a password. */
export const asksForToken = ({ config: { account } }: Pick<Deps, 'config'>): boolean =>
  account.password_registration_token_required || account.registration_token_required

/** Whether a sign-up needs an invitation: all do, or this one was spared the check against robots for the sake of one. */
export const needsToken = (deps: Pick<Deps, 'config'>, { invited }: RegistrationRow): boolean =>
  asksForToken(deps) || invited

/** The page that a sign-up must see next: the first step that is not done, or where a finished one leads. */
export function nextPath(
  deps: Pick<Deps, 'config'>,
  { registration, verification, continuation }: Step,
): string {
  if (registration.completed_at) return continuation.path
  if (needsToken(deps, registration) && registration.registration_token_id === null)
    return stepPath(registration.id, 'token')
  if (verification && !verification.completed_at) return stepPath(registration.id, 'verify-email')
  return stepPath(registration.id, 'display-name')
}
