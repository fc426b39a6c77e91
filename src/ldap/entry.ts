import type { Entry as RawEntry } from 'ldapts'
import { DirectoryError } from './directory-error.ts'
import { escapeFilterBytes, escapeFilterValue } from './escape.ts'
import { BINARY_ATTRIBUTES } from './session.ts'

/** A person's entry. */
export interface Entry {
  /** What stays when they are renamed. */
  id: string
  dn: string
  /** The texts of every attribute, by its name in lower case. */
  attributes: Record<string, string[]>
  /** How the directory spells the names of attributes, by the name in lower case. */
  names: Record<string, string>
  /** The names of the groups that they are in. */
  groups: string[]
}

/** Attributes that are asked for: all of a person's, and what many directories give only to who names it. */
export const WANTED = ['*', 'memberOf']

/** Never kept, printed or shown to a template, should the reader be allowed to see them. */
const SECRETS = /^(userpassword|unicodepwd|(lm|nt|sambalm|sambant)password|krbprincipalkey|authpassword)$/

const isBinary = (attribute: string): boolean =>
  BINARY_ATTRIBUTES.some((name) => name.toLowerCase() === attribute.toLowerCase())

/** @throws DirectoryError when the entry lacks the attribute that is to be its id */
export function entryOf({ dn, ...raw }: RawEntry, idAttribute: string): Entry {
  const attributes: Entry['attributes'] = {}
  const names: Entry['names'] = {}
  let id: string | undefined
  for (const [name, given] of Object.entries(raw)) {
    const key = name.toLowerCase()
    const values = [given].flat()
    const [first] = values
    if (key === idAttribute.toLowerCase() && first !== undefined)
      id = typeof first === 'string' ? first : first.toString(isBinary(name) ? 'hex' : 'utf8')
    const texts = values.filter((value) => typeof value === 'string')
    if (SECRETS.test(key) || texts.length === 0) continue
    attributes[key] = texts
    names[key] = name
  }
  if (id === undefined || id === '')
    throw new DirectoryError('misconfigured', `an entry has no ${idAttribute}: set ldap.attributes.id`)
  return { id, dn, attributes, names, groups: (attributes.memberof ?? []).map(firstValueOf) }
}

/** The filter that finds the entry of an id. */
export const filterOfId = (attribute: string, id: string): string =>
  `(${attribute}=${isBinary(attribute) ? escapeFilterBytes(Uint8Array.fromHex(id)) : escapeFilterValue(id)})`

/** The first value of a distinguished name (RFC 4514): of `cn=staff,ou=groups,…` it is `staff`. */
function firstValueOf(dn: string): string {
  const [, value = ''] = /^[^=]*=((?:\\.|[^,+\\])*)/.exec(dn) ?? []
  return value
    .replace(/(?:\\[0-9a-f]{2})+/gi, (bytes) =>
      new TextDecoder().decode(Uint8Array.fromHex(bytes.replaceAll('\\', ''))),
    )
    .replace(/\\(.)/g, '$1')
}
