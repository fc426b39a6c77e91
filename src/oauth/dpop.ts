import type { ClientRow } from '../../sql/clients.ts'
import { insertUsedJwt } from '../../sql/used-jwts.ts'
import { verifyEmbeddedJwt } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'
import { OAuthError } from '../http/errors.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds, epochSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { isApiScope } from '../lib/scope.ts'
import { CLIENT_ALGORITHMS } from './client-jwt.ts'
import { algorithmsFor, isFapi2 } from './fapi2.ts'

/** What a proof may be signed with; no shared secrets (RFC 9449 section 4.2). */
export const DPOP_ALGORITHMS = CLIENT_ALGORITHMS

/** Seconds that a proof is good for: what slow networks and a clock that is somewhat behind need. */
const LIFETIME = 300
/** Seconds that the clock of a client may be ahead (FAPI 2.0 Security Profile section 5.3.2.1, point 13, has 10 to 60). */
const AHEAD = 30
/** Characters of a proof: one with an RSA key of 4096 bits has two thousand. */
const PROOF_LIMIT = 8192

/** A proof that holds, whose `jti` was not looked at yet. */
export interface Proof {
  /** The thumbprint of the key (RFC 7638). */
  jkt: string
  alg: string
  jti: string
  issuedAt: number
}

type Needs = Pick<Deps, 'sql' | 'clock'>

/** Whether a text is a thumbprint, as `dpop_jkt` has it (RFC 9449 section 10). */
export const isThumbprint = (text: string): boolean => /^[A-Za-z0-9_-]{43}$/.test(text)

/**
 * The proof of a request to an endpoint of ours at `address` (as clients know it), which is spent by this; undefined
 * when the request has none.
 *
 * @throws OAuthError invalid_dpop_proof
 */
export async function takeProof(deps: Needs, request: Request, address: string): Promise<Proof | undefined> {
  if (!request.headers.has('dpop')) return undefined
  const proof = await checkProof(deps, request, address)
  if (typeof proof === 'string') throw invalid(proof)
  const broken = await spendProof(deps, proof)
  if (broken !== undefined) throw invalid(broken)
  return proof
}

const invalid = (broken: string): OAuthError =>
  new OAuthError('invalid_dpop_proof', { description: `The DPoP proof is not valid: ${broken}.` })

/**
 * Every rule of RFC 9449 section 4.3 but that `jti` is new: the proof, or the rule that it breaks. With a `token` the
 * proof must be for that one (`ath`).
 */
export async function checkProof(
  { clock }: Pick<Deps, 'clock'>,
  request: Request,
  address: string,
  token?: string,
): Promise<Proof | string> {
  const header = request.headers.get('dpop') ?? ''
  // Several headers are joined by commas, which no JWT has.
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(header) || header.length > PROOF_LIMIT)
    return 'there must be one header DPoP with one JWT'
  const now = clock.now()
  const verified = await verifyEmbeddedJwt(header, { typ: 'dpop+jwt', algorithms: DPOP_ALGORITHMS, now })
  if (!verified) return 'typ must be dpop+jwt, jwk a public key, and the signature one of that key'
  const { htm, htu, iat, jti, ath } = verified.claims
  if (!isMethod(htm, request)) return 'htm is not the method of the request'
  if (!isAddress(htu, address)) return `htu is not ${address}`
  if (!isFresh(iat, epochSeconds(now))) return 'iat is missing, too old, or in the future'
  if (!isName(jti)) return 'jti is missing'
  if (token !== undefined && !isHashOf(ath, token)) return 'ath is not the hash of the access token'
  return { jkt: verified.thumbprint, alg: verified.alg, jti, issuedAt: iat }
}

/** RFC 9449 section 4.3, point 8. */
const isMethod = (htm: unknown, { method }: Request): boolean => htm === method

/** RFC 9449 section 4.2: a proof has a name, by which it is good once (`spendProof`). */
const isName = (jti: unknown): jti is string => typeof jti === 'string' && jti !== ''

/** RFC 9449 section 4.3, point 12: the proof is for this access token. */
const isHashOf = (ath: unknown, token: string): boolean => ath === base64url(sha256(token))

/** RFC 9449 section 4.3, point 9: compared without query and fragment, in normal form. */
function isAddress(htu: unknown, address: string): boolean {
  if (typeof htu !== 'string' || !URL.canParse(htu)) return false
  const [named, own] = [new URL(htu), new URL(address)]
  return (
    named.origin === own.origin &&
    named.username + named.password === '' &&
    normalPath(named) !== undefined &&
    normalPath(named) === normalPath(own)
  )
}

/** A path in one spelling of its percent-encoding (RFC 3986 section 6.2.2); undefined when it is not UTF-8. */
function normalPath({ pathname }: URL): string | undefined {
  try {
    return pathname
      .split('/')
      .map((segment) => encodeURIComponent(decodeURIComponent(segment)))
      .join('/')
  } catch {
    return undefined
  }
}

/** RFC 9449 section 4.3, point 11. */
const isFresh = (iat: unknown, now: number): iat is number =>
  typeof iat === 'number' && iat > now - LIFETIME && iat <= now + AHEAD

/**
 * RFC 9449 section 11.1: a proof is good once, whichever process sees it. Undefined when this was its use, otherwise the
 * rule that it breaks. The key is part of what is remembered, so that nobody spends the proofs of others.
 */
export async function spendProof({ sql }: Pick<Deps, 'sql'>, proof: Proof): Promise<string | undefined> {
  const digest = sha256(`dpop\n${proof.jkt}\n${proof.jti}`)
  const expiresAt = addSeconds(new Date(proof.issuedAt * 1000), LIFETIME + AHEAD)
  const [used] = await insertUsedJwt(sql, digest, expiresAt)
  return used ? undefined : 'jti was used before'
}

/**
 * The key that a pushed request binds its code to: the named one, or that of its proof (RFC 9449 section 10.1).
 *
 * @throws OAuthError invalid_dpop_proof when they are two
 */
export function keyOfRequest(named: string | undefined, proof: Proof | undefined): string | undefined {
  if (named !== undefined && proof && named !== proof.jkt) throw invalid('dpop_jkt names another key')
  return named ?? proof?.jkt
}

/** Whether every token request of a client must have a proof (RFC 9449 section 5.2, FAPI 2.0 section 5.3.2.1, point 5). */
const alwaysProves = (client: ClientRow): boolean =>
  client.metadata.dpop_bound_access_tokens === true || isFapi2(client)

/**
 * The key that the token request of a client proves, if it does. One that registered that its tokens are bound gets no
 * others (RFC 9449 section 5.2).
 *
 * @throws OAuthError invalid_dpop_proof
 */
export function keyOf(client: ClientRow, proof: Proof | undefined): string | undefined {
  if (!proof && alwaysProves(client)) throw invalid('this client must send one')
  if (proof && !algorithmsFor(client, DPOP_ALGORITHMS).includes(proof.alg))
    throw invalid(`this client may not sign with ${proof.alg}`)
  return proof?.jkt
}

/** The homeserver takes Bearer tokens alone, so that those for it are not bound (decision 12). */
export const bindsAccessToken = (scope: readonly string[]): boolean => !scope.some(isApiScope)

/** RFC 9449 section 5: what a token of a scope is called that was asked for with a proof, or without one. */
export const tokenTypeOf = (scope: readonly string[], jkt: string | null | undefined): 'Bearer' | 'DPoP' =>
  jkt != null && bindsAccessToken(scope) ? 'DPoP' : 'Bearer'

/** The key that an access token is bound to (RFC 9449 section 6); undefined for a Bearer token. */
export const keyOfAccessToken = (token: { dpop_jkt: string | null; scope: string }): string | undefined =>
  token.dpop_jkt !== null && bindsAccessToken(token.scope.split(' ')) ? token.dpop_jkt : undefined

/**
 * Whether a refresh token that is bound to `bound` may be used by who proved `jkt` (RFC 9449 section 5): the token of a
 * client that does not authenticate needs its key, every other client is its own proof.
 */
export const mayRefresh = (
  client: Pick<ClientRow, 'auth_method'>,
  bound: string | null,
  jkt: string | undefined,
): boolean => client.auth_method !== 'none' || bound === null || bound === jkt
