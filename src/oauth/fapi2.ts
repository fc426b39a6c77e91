import type { ClientRow } from '../../sql/clients.ts'

/**
 * The FAPI 2.0 Security Profile (Final) for clients of the configuration with `profile: fapi2` (decision 14). Each rule
 * that is not one for everybody is a function here, with its section; the configuration refuses clients that could not
 * keep them (`config/resolve/clients.ts`).
 */

/** Whether the profile counts for a client. Only an operator can say so. */
export const isFapi2 = (client: Pick<ClientRow, 'is_static' | 'metadata'>): boolean =>
  client.is_static && client.metadata.profile === 'fapi2'

/** Section 5.3.2.1, point 8: the issuer, as a string, and nothing else is `aud` of a client assertion. */
export const isIssuerAlone = (issuer: string, aud: unknown): boolean => aud === issuer

/**
 * Section 5.3.2.1, point 9: the refresh token is not replaced by its use. The client authenticates with a key of its own,
 * so that rotation adds nothing to its safety.
 */
export const keepsRefreshToken = isFapi2

/** Section 5.3.2.1, point 11: seconds that a code of this client holds; undefined: as long as those of others. */
export const codeLifetime = (client: ClientRow): number | undefined => (isFapi2(client) ? 60 : undefined)

/**
 * What is wrong with a code is `invalid_grant` (RFC 6749 section 5.2, RFC 7636 section 4.6). Other clients are told what
 * MAS tells them (reference section 4.5).
 */
export const codeFault = <Code extends string>(client: ClientRow, usual: Code): Code | 'invalid_grant' =>
  isFapi2(client) ? 'invalid_grant' : usual

/** Section 5.3.2.2, points 3 and 4: the client pushes its requests, which it authenticates for. */
export const mustPush = isFapi2

/** Section 5.3.2.2, point 5: PKCE, for a client that authenticates too. */
export const mustUsePkce = isFapi2

/** Section 5.3.2.2, point 6: every request says where its answer goes, even if only one address is registered. */
export const mustNameRedirect = isFapi2

/** Section 5.3.2.2, point 8: https, character by character what the operator wrote; nothing on loopback. */
export const isExactRedirect = (registered: readonly string[], requested: string): boolean =>
  requested.startsWith('https://') && registered.includes(requested)

/** Section 5.4.1, point 1. `Ed25519` is another name of the EdDSA that is meant. */
export const FAPI2_ALGORITHMS: readonly string[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519']

/** Section 5.4.1, point 1: of the algorithms that others may use, those that this client may. */
export const algorithmsFor = (client: ClientRow, algorithms: readonly string[]): readonly string[] =>
  isFapi2(client) ? algorithms.filter((alg) => FAPI2_ALGORITHMS.includes(alg)) : algorithms
