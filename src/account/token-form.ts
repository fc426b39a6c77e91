import type { Deps } from '../deps.ts'
import type { Params } from '../http/params.ts'
import { newDeviceId, TOKEN_NAME_LIMIT } from '../identity/personal-tokens.ts'
import { API_SCOPE, deviceScope, MAS_ADMIN, SYNAPSE_ADMIN } from '../lib/scope.ts'
import type { Violation } from '../policy/violation.ts'
import type { FieldErrors } from '../render/contexts.ts'
import type { AccountTokenNewPage, TokenLifetime, TokenScopeChoice } from '../render/contexts-tokens.ts'
import type { Opened } from './area.ts'

export type TokenForm = AccountTokenNewPage['form']

export const LIFETIMES: readonly TokenLifetime[] = ['7', '30', '90', '365', 'never']

const DAY = 24 * 3600

/** What each choice grants. Synapse's admin API is used through the Matrix API. */
const SCOPES: Record<TokenScopeChoice, readonly string[]> = {
  matrix_api: [API_SCOPE],
  synapse_admin: [API_SCOPE, SYNAPSE_ADMIN],
  mas_admin: [MAS_ADMIN],
}
const CHOICES = Object.keys(SCOPES) as TokenScopeChoice[]

/** Nobody gets a token without an end unasked. */
export const EMPTY_FORM: TokenForm = {
  name: '',
  scopes: ['matrix_api'],
  device: true,
  expires: '90',
  errors: {},
}

/** Reads and checks what was filled in. */
export function readTokenForm(fields: Params): TokenForm {
  const name = (fields.token_name ?? '').trim()
  const scopes = CHOICES.filter((code) => fields[`scope_${code}`] !== undefined)
  const errors: FieldErrors = {}
  if (name === '') errors.token_name = [{ code: 'required' }]
  else if ([...name].length > TOKEN_NAME_LIMIT)
    errors.token_name = [{ code: 'too_long', args: { max: TOKEN_NAME_LIMIT } }]
  // Homeservers and pages show it in one line.
  else if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) errors.token_name = [{ code: 'invalid' }]
  if (scopes.length === 0) errors.scope_matrix_api = [{ code: 'required' }]
  const expires = LIFETIMES.find((value) => value === fields.expires) ?? EMPTY_FORM.expires
  return { name, scopes, device: fields.device !== undefined, expires, errors }
}

/** Seconds; undefined for never. */
export const lifetimeOf = (lifetime: TokenLifetime): number | undefined =>
  lifetime === 'never' ? undefined : Number(lifetime) * DAY

/** The scopes that were chosen. A device makes sense with the Matrix API alone, and is a new one. */
export function scopeOf(deps: Pick<Deps, 'random'>, form: TokenForm): string[] {
  const scopes = new Set(form.scopes.flatMap((code) => SCOPES[code]))
  if (form.device && scopes.has(API_SCOPE)) scopes.add(deviceScope(newDeviceId(deps.random)))
  return [...scopes].sort()
}

/** Why this person may not grant scopes; how many sessions they have is another matter. */
export async function scopeViolations(
  deps: Pick<Deps, 'policy'>,
  { session, visit }: Opened,
  scope: readonly string[],
): Promise<Violation[]> {
  const asked = { scope, user: session, grantType: 'authorization_code' as const }
  const violations = await deps.policy.grant(asked, visit.requester)
  return violations.filter(({ code }) => code !== 'too-many-sessions')
}

/** What this person may choose: nothing is offered that would be refused. */
export async function choicesFor(
  deps: Pick<Deps, 'policy'>,
  opened: Opened,
): Promise<AccountTokenNewPage['choices']> {
  const choices: AccountTokenNewPage['choices'] = [{ code: 'matrix_api', dangerous: false }]
  for (const code of ['synapse_admin', 'mas_admin'] as const)
    if ((await scopeViolations(deps, opened, SCOPES[code])).length === 0)
      choices.push({ code, dangerous: true })
  return choices
}
