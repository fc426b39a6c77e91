// node:crypto and not Web Crypto: a claim is computed while an object is built, and only node's hashes are synchronous.
import { createHash } from 'node:crypto'
import {
  type CryptoKey,
  calculateJwkThumbprint,
  createLocalJWKSet,
  errors,
  importJWK,
  type JWK,
  jwtVerify,
  SignJWT,
} from 'jose'
import { base64url } from '../lib/base64url.ts'

/** A key as the JWKS document shows it. */
export type PublicJwk = { kty: 'RSA' | 'EC' | 'OKP'; use: 'sig'; kid: string } & (
  | { kty: 'RSA'; n: string; e: string }
  | { kty: 'EC'; crv: string; x: string; y: string }
  | { kty: 'OKP'; crv: string; x: string }
)

/** The claims of a verified token. */
export type JwtClaims = Record<string, unknown> & { iss?: string; sub?: string; aud?: string | string[] }

/** What a token must say to be believed. `now` is the instant that `exp` and `nbf` are held against. */
export type JwtExpectations = {
  issuer: string
  audience?: string | undefined
  /** The `typ` of the header, for example `at+jwt`; compared as RFC 7515 section 4.1.9 says. */
  typ?: string | undefined
  now: Date
}

/** Algorithms that we sign with, in the order that discovery lists them (reference 2.1, then ours). */
export const SIGNING_ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'PS256',
  'PS384',
  'PS512',
  'ES512',
  'EdDSA',
]

/** The algorithms that a key can do, from its type and curve. */
export function algorithmsOf(jwk: { kty?: string; crv?: string }): string[] {
  if (jwk.kty === 'RSA') return SIGNING_ALGORITHMS.filter((alg) => /^[RP]S/.test(alg))
  if (jwk.kty === 'EC' && jwk.crv === 'P-256') return ['ES256']
  if (jwk.kty === 'EC' && jwk.crv === 'P-384') return ['ES384']
  if (jwk.kty === 'EC' && jwk.crv === 'P-521') return ['ES512']
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return ['EdDSA']
  return []
}

/** RFC 7638 SHA-256 thumbprint of a key, base64url without padding. */
export const thumbprint = (jwk: JsonWebKey): Promise<string> => calculateJwkThumbprint(jwk as JWK, 'sha256')

/** A private JWK as a key that can sign with `alg` and cannot be exported. */
export async function importSigningKey(jwk: JsonWebKey, alg: string): Promise<CryptoKey> {
  const key = await importJWK(jwk as JWK, alg)
  // jose answers bytes only for symmetric keys, which no caller has.
  if (key instanceof Uint8Array) throw new TypeError('a symmetric key cannot sign for others')
  return key
}

/** `claims` as a JWS in compact form (RFC 7519), with nothing in its header but `alg`, `kid` and, if given, `typ`. */
export const signJwt = (
  claims: object,
  header: { alg: string; kid: string; typ?: string | undefined },
  key: CryptoKey,
): Promise<string> => {
  const { alg, kid, typ } = header
  return new SignJWT({ ...claims })
    .setProtectedHeader(typ === undefined ? { alg, kid } : { alg, kid, typ })
    .sign(key)
}

/**
 * The claims of `jwt` when one of `keys` signed it with one of `algorithms` and it says what is expected;
 * undefined for everything else, whatever is wrong with it.
 */
export async function verifyJwt(
  jwt: string,
  keys: readonly PublicJwk[],
  algorithms: readonly string[],
  expected: JwtExpectations,
): Promise<JwtClaims | undefined> {
  const { issuer, audience, typ, now } = expected
  try {
    const { payload } = await jwtVerify(jwt, createLocalJWKSet({ keys: [...keys] }), {
      algorithms: [...algorithms],
      issuer,
      currentDate: now,
      ...(audience === undefined ? {} : { audience }),
      ...(typ === undefined ? {} : { typ }),
    })
    return payload
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined
    throw error
  }
}

/**
 * `at_hash` and `c_hash` (OIDC Core 3.1.3.6, 3.3.2.11): the left half of the hash that `alg` signs with.
 * EdDSA names no hash; Ed25519 uses SHA-512 inside, which is what implementations agreed on.
 * Throws TypeError for an algorithm that we don't sign with.
 */
export function idTokenHash(alg: string, value: string): string {
  if (!SIGNING_ALGORITHMS.includes(alg))
    throw new TypeError(`No ID token is signed with ${JSON.stringify(alg)}.`)
  const bits = alg === 'EdDSA' ? 512 : Number(alg.slice(2))
  return base64url(
    createHash(`sha${bits}`)
      .update(value)
      .digest()
      .subarray(0, bits / 16),
  )
}
