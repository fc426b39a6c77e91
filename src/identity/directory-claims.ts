import type { Deps } from '../deps.ts'
import type { Entry } from '../ldap/entry.ts'
import type { ClaimTemplates } from '../render/claim-templates.ts'
import { parseEmail } from './email-address.ts'
import { DISPLAY_NAME_LIMIT } from './profile.ts'

/** Attributes that are lists whatever they hold: a test for membership must not become one for a part of a text. */
const LISTS = ['memberOf', 'objectClass']

/**
 * What templates and expressions see of an entry: `user` with the first value of each attribute (under its own spelling and
 * in lower case), its `dn` and the list `groups`; `attributes` with lists of all values.
 */
export function valuesOf(entry: Entry): {
  user: Record<string, unknown>
  attributes: Record<string, string[]>
} {
  const user: Record<string, unknown> = {}
  const attributes: Record<string, string[]> = {}
  for (const [key, values] of Object.entries(entry.attributes))
    for (const name of new Set([key, entry.names[key] ?? key])) {
      user[name] = values[0]
      attributes[name] = values
    }
  for (const name of LISTS.flatMap((one) => [one, one.toLowerCase()]))
    user[name] = attributes[name.toLowerCase()] ?? []
  return { user: { ...user, dn: entry.dn, groups: entry.groups }, attributes }
}

type Needs = Pick<Deps, 'config'> & {
  upstream: Pick<Deps['upstream'], 'templates'>
  log: Pick<Deps['log'], 'warn'>
}

/** What the templates make of an entry, and what its expressions say; one that fails says nothing, which the log says. */
export function claimsOf(
  deps: Needs,
  entry: Entry,
): {
  localpart: string | undefined
  displayName: string | undefined
  email: string | undefined
  /** `allow_if`, `admin_if`; undefined when there is none. */
  isAllowed: boolean | undefined
  isAdmin: boolean | undefined
} {
  const { ldap } = deps.config
  const { templates } = deps.upstream
  const values = valuesOf(entry)
  const attempt = <T>(attribute: string, run: () => T, otherwise: T): T => {
    try {
      return run()
    } catch (error) {
      deps.log.warn('directory.template_failed', { attribute, error })
      return otherwise
    }
  }
  const text = (attribute: 'localpart' | 'displayname' | 'email') =>
    attempt(attribute, () => templates.render(ldap?.attributes[attribute] ?? '', values), undefined)
  const condition = (name: 'allow_if' | 'admin_if') => {
    const expression = ldap?.[name]
    return expression === undefined
      ? undefined
      : attempt(name, () => templates.holds(expression, values), false)
  }
  const displayName = text('displayname')
  const email = text('email')
  const fits = displayName && new TextEncoder().encode(displayName).length <= DISPLAY_NAME_LIMIT
  return {
    localpart: text('localpart'),
    displayName: fits ? displayName : undefined,
    email: email === undefined ? undefined : parseEmail(email),
    isAllowed: condition('allow_if'),
    isAdmin: condition('admin_if'),
  }
}

/** What is wrong with the templates and expressions of the section `ldap`, a sentence each: for the start. */
export function directoryFaults(templates: ClaimTemplates, { ldap }: Pick<Deps['config'], 'ldap'>): string[] {
  if (!ldap) return []
  const { localpart, displayname, email } = ldap.attributes
  const condition = (text: string | undefined) => text && `{% if ${text} %}{% endif %}`
  const named: [name: string, template: string | undefined][] = [
    ['attributes.localpart', localpart],
    ['attributes.displayname', displayname],
    ['attributes.email', email],
    ['allow_if', condition(ldap.allow_if)],
    ['admin_if', condition(ldap.admin_if)],
  ]
  return named.flatMap(([name, template]) => {
    const fault = template === undefined ? undefined : templates.fault(template)
    return fault === undefined ? [] : [`ldap.${name} cannot be read and never holds: ${fault}`]
  })
}
