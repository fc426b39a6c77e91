import type { AuthenticationMethod } from '../../sql/browser-sessions.ts'
import type { ClientRow } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'

/** A password, over TLS, as an authentication context class (OpenID Connect Core section 2, `acr`). */
export const PASSWORD_ACR = 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport'

/** A sign-in whose way is known, or not: sessions that began before it was noted have none. */
type Method = AuthenticationMethod | null

/**
 * The class of a sign-in, for `acr` in ID tokens. Only a password that was typed here has one: what a provider did is its
 * own to say, and a link from a mail is of no class that anybody registered.
 */
export const acrOf = (method: Method): string | undefined =>
  method === 'password' ? PASSWORD_ACR : undefined

/**
 * The methods of a sign-in, for `amr` in ID tokens (RFC 8176 section 2). There is no value for "another provider said so"
 * nor for a link, and `pwd` would be a false statement; undefined for those.
 */
export const amrOf = (method: Method): string[] | undefined => (method === 'password' ? ['pwd'] : undefined)

/** The classes that a sign-in here can have. */
export const servedAcrs = ({ config }: Pick<Deps, 'config'>): string[] =>
  config.passwords.enabled ? [PASSWORD_ACR] : []

/** Whether a client registered that it always asks for the class (`default_acr_values`). */
export const hasDefaultAcr = ({ metadata }: Pick<ClientRow, 'metadata'>): boolean =>
  Array.isArray(metadata.default_acr_values) && metadata.default_acr_values.length > 0
