// node:crypto and not Web Crypto: a claim is computed while an object is built, and only node's hashes are synchronous.
import { createHash } from 'node:crypto'
import {
  type CryptoKey,
  calculateJwkThumbprint,
  compactDecrypt,
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  EmbeddedJWK,
  errors,
  importJWK,
  importPKCS8,
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
  /** The `typ` of the header, for example `at+jwt`; compared as RFC 7515 section 4.1.9 says. `null`: there is none. */
  typ?: string | null | undefined
  /** An expired token is as good as another: an `id_token_hint` only says who and where. */
  evenExpired?: boolean
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
  const { issuer, audience, typ, now, evenExpired = false } = expected
  try {
    const { payload, protectedHeader } = await jwtVerify(jwt, createLocalJWKSet({ keys: [...keys] }), {
      algorithms: [...algorithms],
      issuer,
      currentDate: now,
      ...(audience === undefined ? {} : { audience }),
      ...(typeof typ === 'string' && { typ }),
      ...(evenExpired && { clockTolerance: Number.MAX_SAFE_INTEGER }),
    })
    return typ === null && protectedHeader.typ !== undefined ? undefined : payload
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined
    throw error
  }
}

/**
 * `at_hash` and `c_hash` (OIDC Core 3.1.3.6, 3.3.2.11): the left half of the hash that `alg` signs with.
 * EdDSA names no hash; Ed25519 (RFC 9864: the same by its own name) uses SHA-512 inside, which implementations agreed on.
 * Throws TypeError for an algorithm that neither we nor a provider signs with.
 */
export function idTokenHash(alg: string, value: string): string {
  if (!SIGNING_ALGORITHMS.includes(alg) && !/^(HS(256|384|512)|Ed25519)$/.test(alg))
    throw new TypeError(`No ID token is signed with ${JSON.stringify(alg)}.`)
  const bits = alg.startsWith('Ed') ? 512 : Number(alg.slice(2))
  return base64url(
    createHash(`sha${bits}`)
      .update(value)
      .digest()
      .subarray(0, bits / 16),
  )
}

/**
 * The claims of a JWT that carries the key it is signed with (RFC 7515 section 4.1.3), and the thumbprint of that key,
 * which must be a public one; undefined for everything else, whatever is wrong with it. It proves that somebody has the
 * key, and nothing about who.
 */
export async function verifyEmbeddedJwt(
  jwt: string,
  expected: { typ: string; algorithms: readonly string[]; now: Date },
): Promise<{ claims: JwtClaims; alg: string; thumbprint: string } | undefined> {
  try {
    const { payload, protectedHeader } = await jwtVerify(jwt, EmbeddedJWK, {
      typ: expected.typ,
      algorithms: [...expected.algorithms],
      currentDate: expected.now,
      clockTolerance: 30,
    })
    const { alg, jwk } = protectedHeader
    return jwk && { claims: payload, alg, thumbprint: await calculateJwkThumbprint(jwk, 'sha256') }
  } catch (error) {
    // A key that Web Crypto cannot use is a mistake of whoever sent it.
    if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException)
      return undefined
    throw error
  }
}

/** What a JWT says of itself before anything is verified: enough to find whose keys to verify it with. */
export function peekJwt(
  jwt: string,
): { header: { alg?: unknown; kid?: unknown; typ?: unknown }; claims: JwtClaims } | undefined {
  try {
    return { header: decodeProtectedHeader(jwt), claims: decodeJwt(jwt) as JwtClaims }
  } catch {
    return undefined
  }
}

/** How a JWT of somebody else is verified: with their key set, or with a secret that we share. */
export type ForeignKeys = { jwks: { keys: Record<string, unknown>[] } } | { secret: string }

/**
 * The claims of a JWT that somebody else signed, when the signature holds under `algorithms` and it is within its time
 * (`tolerance` seconds more or less, else 30); undefined otherwise. Of several keys that fit, each is tried (RFC 7517 section 4.5).
 * `unknownKey` tells that no key fitted, so that a rotated key set may be fetched again.
 */
export async function verifyForeignJwt(
  jwt: string,
  keys: ForeignKeys,
  options: { algorithms: readonly string[]; now: Date; requiredClaims?: string[]; tolerance?: number },
): Promise<{ claims?: JwtClaims; unknownKey: boolean }> {
  const rules = {
    algorithms: [...options.algorithms],
    currentDate: options.now,
    clockTolerance: options.tolerance ?? 30,
    requiredClaims: options.requiredClaims ?? [],
  }
  try {
    if ('secret' in keys) {
      const { payload } = await jwtVerify(jwt, new TextEncoder().encode(keys.secret), rules)
      return { claims: payload, unknownKey: false }
    }
    const { payload } = await jwtVerify(jwt, createLocalJWKSet(keys.jwks as never), rules)
    return { claims: payload, unknownKey: false }
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) {
      for await (const key of error) {
        try {
          const { payload } = await jwtVerify(jwt, key, rules)
          return { claims: payload, unknownKey: false }
        } catch (inner) {
          if (!(inner instanceof errors.JOSEError)) throw inner
        }
      }
      return { unknownKey: false }
    }
    if (error instanceof errors.JOSEError) return { unknownKey: error instanceof errors.JWKSNoMatchingKey }
    // A key of theirs that Web Crypto cannot use is their mistake, not ours.
    if (error instanceof TypeError || error instanceof DOMException) return { unknownKey: false }
    throw error
  }
}

/** `claims` as a JWS under a secret that both sides share: how a client proves itself with `client_secret_jwt`. */
export const signJwtWithSecret = (claims: object, alg: string, secret: string): Promise<string> =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret))

/**
 * `claims` as a JWS under a private key (PKCS#8 PEM) of another service, which is not one of the keys that we publish.
 *
 * @throws TypeError when the key cannot be used; its text shows nothing of it
 */
export async function signJwtWithPem(
  claims: object,
  header: { alg: string; kid: string },
  pem: string,
): Promise<string> {
  let key: CryptoKey
  try {
    key = await importPKCS8(pem, header.alg)
  } catch {
    // The library's message may quote the key.
    throw new TypeError(`the private key is not one for ${header.alg}`)
  }
  return new SignJWT({ ...claims }).setProtectedHeader(header).sign(key)
}

/** How somebody may encrypt to one of our keys; RSA with PKCS#1 padding is not among them (RFC 8725 section 3.2). */
const KEY_ENCRYPTION: Record<string, string[]> = {
  RSA: ['RSA-OAEP', 'RSA-OAEP-256', 'RSA-OAEP-384', 'RSA-OAEP-512'],
  EC: ['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW'],
}
/** The type of key that somebody may encrypt to in a way. */
export const keyTypeOf = (alg: string): string | undefined =>
  Object.keys(KEY_ENCRYPTION).find((kty) => KEY_ENCRYPTION[kty]?.includes(alg))

/** What a signing key is called where it is published once more, to be encrypted to. */
export const encryptionKid = (kid: string, alg: string): string => `${kid}-${alg}`

const CONTENT_ENCRYPTION = [
  'A128GCM',
  'A192GCM',
  'A256GCM',
  'A128CBC-HS256',
  'A192CBC-HS384',
  'A256CBC-HS512',
]

/**
 * What was encrypted to one of our private keys as a compact JWE (RFC 7516): the key that its `kid` names, or any where
 * it names none. Undefined when none opens it. It proves nothing about who sent it: everybody has the public halves.
 */
export async function decryptJwe(
  jwe: string,
  keys: readonly { kid: string; jwk: JsonWebKey }[],
): Promise<string | undefined> {
  let header: { alg?: unknown; kid?: unknown }
  try {
    header = decodeProtectedHeader(jwe)
  } catch {
    return undefined
  }
  const { alg, kid } = header
  for (const key of keys) {
    const allowed = KEY_ENCRYPTION[key.jwk.kty ?? ''] ?? []
    if (typeof alg !== 'string' || !allowed.includes(alg)) continue
    if (kid !== undefined && kid !== key.kid && kid !== encryptionKid(key.kid, alg)) continue
    try {
      const options = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: CONTENT_ENCRYPTION }
      const { plaintext } = await compactDecrypt(jwe, await importJWK(key.jwk as JWK, alg), options)
      return new TextDecoder().decode(plaintext)
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error
    }
  }
  return undefined
}
