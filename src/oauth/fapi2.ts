import type { ClientRow } from '../../sql/clients.ts'

/**
 * The FAPI 2.0 Security Profile (Final) for clients of the configuration with `profile: fapi2` (decision 14). Each rule
 * that is not one for everybody is a function here, with its section; the configuration refuses clients that could not
 * keep them (`config/resolve/clients.ts`).
 */

/** Whether the profile counts for a client. Only an operator can say so. */
export const isFapi2 = (client: Pick<ClientRow, 'is_static' | 'metadata'>): boolean =>
  client.is_static && client.metadata.profile === 'fapi2'

/** Section 5.4.1, point 1. `Ed25519` is another name of the EdDSA that is meant. */
export const FAPI2_ALGORITHMS: readonly string[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519']

/** Section 5.4.1, point 1: of the algorithms that others may use, those that this client may. */
export const algorithmsFor = (client: ClientRow, algorithms: readonly string[]): readonly string[] =>
  isFapi2(client) ? algorithms.filter((alg) => FAPI2_ALGORITHMS.includes(alg)) : algorithms

/** Section 5.3.2.1, point 11: seconds that a code of this client holds at the most; undefined: as for everybody. */
export const codeLifetime = (client: ClientRow): number | undefined => (isFapi2(client) ? 60 : undefined)

/** Section 5.3.2.1, point 8: the issuer, as a string, and nothing else is `aud` of a client assertion. */
export const isIssuerAlone = (issuer: string, aud: unknown): boolean => aud === issuer
