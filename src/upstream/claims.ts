import type { Deps } from '../deps.ts'
import { parseEmail } from '../identity/email-address.ts'
import { DISPLAY_NAME_LIMIT } from '../identity/profile.ts'
import type { Provider } from '../identity/providers.ts'
import type { ProviderSaid } from './way.ts'

/** What templates see (reference operations 1.17). The ID token, which is signed, goes before userinfo. */
export const valuesOf = (said: ProviderSaid) => ({
  user: { ...said.userinfo_claims, ...said.id_token_claims },
  id_token_claims: said.id_token_claims ?? {},
  userinfo_claims: said.userinfo_claims ?? {},
  extra_callback_parameters: said.extra_callback_parameters,
})

type Values = ReturnType<typeof valuesOf>
type Needs = Pick<Deps, 'config' | 'upstream' | 'log'>

/** What one template makes of them; undefined when it is nothing, or fails, which the log says. */
export function claimValue(
  deps: Needs,
  provider: Provider,
  attribute: string,
  template: string,
  values: Values,
): string | undefined {
  try {
    return deps.upstream.templates.render(template, values)
  } catch (error) {
    deps.log.warn('upstream.template_failed', { provider_id: provider.id, attribute, error })
    return undefined
  }
}

export type ImportedAttribute = 'localpart' | 'displayname' | 'email'

/** A value that a provider suggests (the person may decline it), or that counts (`fixed`). */
export interface Imported {
  value: string
  fixed: boolean
  /** An address that is still to be proven. */
  unproven?: boolean
}

/** What is taken over from a provider; `missing` names what it must say and does not. */
export type ImportedClaims = { [A in ImportedAttribute]?: Imported } | { missing: ImportedAttribute }

/** Runs the templates of `claims_imports`. */
export function importClaims(deps: Needs, provider: Provider, said: ProviderSaid): ImportedClaims {
  const values = valuesOf(said)
  const imported: { [A in ImportedAttribute]?: Imported } = {}
  for (const attribute of ['localpart', 'displayname', 'email'] as const) {
    const { action, template } = provider.claims_imports[attribute]
    if (action === 'ignore') continue
    const rendered = claimValue(deps, provider, attribute, template, values)
    const value = usable(attribute, rendered)
    const proof = attribute === 'email' ? proofOf(deps, provider, values) : 'proven'
    if (value !== undefined && proof !== 'dropped')
      imported[attribute] = {
        value,
        fixed: action !== 'suggest',
        ...(proof === 'unproven' && { unproven: true }),
      }
    else if (action === 'require') return { missing: attribute }
  }
  return imported
}

/** A provider that says nothing vouches for what it says; one that says “not verified” does not. */
const isVerified = ({ user }: Values): boolean =>
  user.email_verified === undefined || user.email_verified === true || user.email_verified === 'true'

/** What becomes of an address. Without a way to send a code, one that needs it is left out. */
function proofOf(deps: Needs, provider: Provider, values: Values): 'proven' | 'unproven' | 'dropped' {
  const { unverified } = provider.claims_imports.email
  if (unverified === 'accept' || isVerified(values)) return 'proven'
  return unverified === 'drop' || deps.config.email.transport === 'blackhole' ? 'dropped' : 'unproven'
}

/**
 * Whether an expression of the operator holds (`allow_if`, `admin_if`); undefined when there is none. One that fails does
 * not hold, which the log says.
 */
export function holds(
  deps: Needs,
  provider: Provider,
  name: 'allow_if' | 'admin_if',
  said: ProviderSaid,
): boolean | undefined {
  const expression = provider[name]
  if (expression === undefined) return undefined
  try {
    return deps.upstream.templates.holds(expression, valuesOf(said))
  } catch (error) {
    deps.log.warn('upstream.template_failed', { provider_id: provider.id, attribute: name, error })
    return false
  }
}

function usable(attribute: ImportedAttribute, value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  if (attribute === 'email') return parseEmail(value)
  const tooLong = new TextEncoder().encode(value).length > DISPLAY_NAME_LIMIT
  return attribute === 'displayname' && tooLong ? undefined : value
}
