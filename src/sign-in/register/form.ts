import type { Deps } from '../../deps.ts'
import { Unavailable } from '../../http/errors.ts'
import type { Params } from '../../http/params.ts'
import { checkEmail, parseEmail } from '../../identity/email-address.ts'
import { checkNewPassword } from '../../identity/new-password.ts'
import { checkSignUpName, suggestNames } from '../../identity/sign-up-names.ts'
import { usernameError } from '../../identity/username-errors.ts'
import type { Visit } from '../../identity/visit.ts'
import type { FieldErrors, FormError, PasswordFeedback } from '../../render/contexts.ts'

/** What was found out about a sign-up form. */
export interface FormState {
  errors: FieldErrors
  formError?: FormError
  feedback?: PasswordFeedback
  /** Free names like one that is taken. */
  suggestions?: string[]
  /** Somebody else does not answer, the homeserver or a service: the form is kept, and sent again later. */
  outage?: boolean
}

/** Whether the sign-up asks for an address, and proves it. */
export const asksForEmail = ({ config }: Pick<Deps, 'config'>): boolean =>
  config.account.password_registration_email_required

/** Everything that can be wrong with the form, each field on its own. */
export async function checkForm(
  deps: Deps,
  visit: Visit,
  username: string,
  form: Params,
): Promise<FormState> {
  const errors: FieldErrors = {}
  let formError: FormError | undefined
  let outage = false
  let suggestions: string[] = []
  if (username === '') errors.username = [{ code: 'required' }]
  else
    try {
      const answer = await checkSignUpName(deps, visit, username, aboutAddress(deps, form))
      if (!answer.available) {
        const { reason, message = '' } = answer
        if (reason === 'email' && !asksForEmail(deps)) formError = { code: 'not_allowed', message }
        else if (reason === 'email') errors.email = [{ code: 'not_allowed', message }]
        else if (answer.reason === 'requester_banned') formError = { code: 'not_allowed' }
        else errors.username = [usernameError(answer, deps.config.matrix.homeserver)]
        if (answer.reason === 'taken') suggestions = await suggestNames(deps, visit, username)
        if (formError) errors.username ??= [{ code: 'not_allowed' }]
      }
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      deps.log.warn('registration.homeserver_unavailable', { error })
      formError = { code: 'unavailable' }
      outage = true
    }
  if (asksForEmail(deps)) {
    const checked = await checkEmail(deps, form.email ?? '', visit.requester)
    if ('error' in checked) errors.email = [checked.error]
  }
  const personal = [username, form.email?.trim() ?? '']
  const { errors: wrong, feedback } = await checkNewPassword(deps, form, personal)
  Object.assign(errors, wrong)
  if (deps.config.branding.tos_uri !== undefined && form.accept_terms === undefined)
    errors.accept_terms = [{ code: 'terms_required' }]
  return { errors, outage, suggestions, ...(formError && { formError }), ...(feedback && { feedback }) }
}

/** The address of the form, where it asks for one and it is one; otherwise its field says what is wrong with it. */
function aboutAddress(deps: Pick<Deps, 'config'>, form: Params): { email?: string } {
  const email = asksForEmail(deps) ? parseEmail(form.email ?? '') : undefined
  return email === undefined ? {} : { email }
}
