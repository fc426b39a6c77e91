import { PASSWORD_LIMIT } from '../crypto/passwords.ts'
import { passwordStrength } from '../crypto/strength.ts'
import type { Deps } from '../deps.ts'
import type { FieldErrors, PasswordFeedback } from '../render/contexts.ts'

/**
 * Checks a password that somebody chose, and that they typed it twice; the errors are those of the fields `password` and
 * `password_confirm`. `personal` are words that an attacker tries first: names, addresses. Takes up to 0.1 s: limit how
 * often a stranger can ask.
 */
export async function checkNewPassword(
  deps: Pick<Deps, 'config' | 'passwords'>,
  { password = '', password_confirm: confirm = '' }: { password?: string; password_confirm?: string },
  personal: readonly string[],
): Promise<{ errors: FieldErrors; feedback?: PasswordFeedback }> {
  if (password === '') return { errors: { password: [{ code: 'required' }] } }
  if (password.length > PASSWORD_LIMIT)
    return { errors: { password: [{ code: 'too_long', args: { max: PASSWORD_LIMIT } }] } }
  if (password !== confirm)
    return { errors: { password_confirm: [{ code: confirm === '' ? 'required' : 'mismatch' }] } }
  const { branding, matrix } = deps.config
  const penalised = [...personal, matrix.homeserver, branding.service_name ?? ''].filter(
    (word) => word !== '',
  )
  const { score, warning, suggestions } = await passwordStrength(password, penalised)
  if (score >= deps.passwords.minimumComplexity) return { errors: {} }
  return {
    errors: { password: [{ code: 'too_weak' }] },
    feedback: { ...(warning && { warning }), suggestions },
  }
}
