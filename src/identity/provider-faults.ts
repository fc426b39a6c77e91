import { type ClaimTemplates, createClaimTemplates } from '../render/claim-templates.ts'
import type { Provider } from './providers.ts'

/** What is wrong with the templates and expressions of a provider, each with its key. */
export function providerFaults(
  provider: Provider,
  templates: ClaimTemplates = createClaimTemplates(),
): { key: string; fault: string }[] {
  const { subject, localpart, displayname, email, account_name } = provider.claims_imports
  const condition = (text: string | undefined) => text && `{% if ${text} %}{% endif %}`
  const named: [key: string, template: string | undefined][] = [
    ['claims_imports.subject.template', subject.template],
    ['claims_imports.localpart.template', localpart.template],
    ['claims_imports.displayname.template', displayname.template],
    ['claims_imports.email.template', email.template],
    ['claims_imports.account_name.template', account_name.template],
    ['allow_if', condition(provider.allow_if)],
    ['admin_if', condition(provider.admin_if)],
    ...Object.entries(provider.additional_authorization_parameters ?? {}).map(
      ([name, template]): [string, string] => [`additional_authorization_parameters.${name}`, template],
    ),
  ]
  return named.flatMap(([key, template]) => {
    const fault = template === undefined ? undefined : templates.fault(template)
    return fault === undefined ? [] : [{ key, fault }]
  })
}
