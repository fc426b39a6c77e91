import type { JwtClaims } from '../crypto/jwt.ts'
import { isForIssuer } from './client-jwt.ts'
import { isIssuerAlone } from './fapi2.ts'

/**
 * The rules for the claims of a client assertion, one function each (RFC 7523 section 3, OpenID Connect Core section 9).
 * That it is signed, not over and not from later on (points 4, 5 and 9) is seen to when its signature is verified, and that
 * it is good once (point 7) in the database (`client-assertion.ts`).
 */

/** Seconds that an assertion may live at the most, so that `jti` need not be kept for ever. */
const LONGEST_LIFE = 3600
/** Seconds that clocks may differ. */
export const SKEW = 30

/** What the claims are held against. */
export interface AssertionFacts {
  clientId: string
  issuer: string
  /** The address of the token endpoint, which clients name at every endpoint. */
  tokenEndpoint: string
  /** The client is one of the FAPI 2.0 Security Profile. */
  fapi2: boolean
  /** Seconds since 1970. */
  now: number
}

type Rule = (claims: JwtClaims, facts: AssertionFacts) => boolean

/** RFC 7523 section 3, point 1; OpenID Connect Core section 9: the client made it. */
export const isFromClient: Rule = ({ iss }, { clientId }) => iss === clientId

/** RFC 7523 section 3, point 2 B: it is about the client, as its id is written. */
export const isAboutClient: Rule = ({ sub }, { clientId }) => sub === clientId

/** RFC 7523 section 3, point 3; OpenID Connect Core section 9: it is for us, by the issuer or the token endpoint. */
export const isForUs: Rule = ({ aud }, { issuer, tokenEndpoint, fapi2 }) =>
  fapi2 ? isIssuerAlone(issuer, aud) : isForIssuer(issuer, aud, [tokenEndpoint])

/** RFC 7523 section 3, point 4: it has an end, and not one that is unreasonably far away. */
export const endsSoon: Rule = ({ exp }, { now }) =>
  typeof exp === 'number' && exp <= now + LONGEST_LIFE + SKEW

/** RFC 7523 section 3, point 6: if it says when it was made, then not later than now. */
export const isMadeBefore: Rule = (claims, { now }) => {
  const { iat } = claims as { iat?: unknown }
  return iat === undefined || (typeof iat === 'number' && iat <= now + SKEW)
}

/** OpenID Connect Core section 9 (optional in RFC 7523, point 7): it has a name, by which it is good once. */
export const hasName: Rule = ({ jti }) => typeof jti === 'string' && jti !== ''

/** Each rule, by what the log says when it is broken. */
const RULES: readonly [reason: string, rule: Rule][] = [
  ['sub is not the client', isAboutClient],
  ['iss is not the client', isFromClient],
  ['aud is not this server', isForUs],
  ['exp is missing or too far away', endsSoon],
  ['iat lies in the future', isMadeBefore],
  ['jti is missing', hasName],
]

/** The first rule that the claims break, for the log; undefined when they keep all. */
export const brokenRule = (claims: JwtClaims, facts: AssertionFacts): string | undefined =>
  RULES.find(([, keeps]) => !keeps(claims, facts))?.[0]
