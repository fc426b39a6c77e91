import { CompactSign, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose'
import { base64url } from '../../src/lib/base64url.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { sha256 } from '../../src/lib/digest.ts'

/** A key that a client proves it has (RFC 9449). */
export interface ProofKey {
  jkt: string
  jwk: Record<string, unknown>
  /** The same key with its secret half: nobody should send it. */
  secretJwk: Record<string, unknown>
  /** A proof for a request to a path of `http://auth.test`, `changes` laid over what is right. */
  proof(
    method: string,
    path: string,
    changes?: { token?: string; claims?: Record<string, unknown>; header?: Record<string, unknown> },
  ): Promise<string>
}

let proofs = 0

/** A fresh key for `alg`. */
export async function proofKey(clock: Clock, alg = 'ES256', origin = 'http://auth.test'): Promise<ProofKey> {
  const pair = await generateKeyPair(alg, { extractable: true })
  const jwk = (await exportJWK(pair.publicKey)) as Record<string, unknown>
  const secretJwk = (await exportJWK(pair.privateKey)) as Record<string, unknown>
  return {
    jkt: await calculateJwkThumbprint(jwk),
    jwk,
    secretJwk,
    async proof(method, path, { token, claims = {}, header = {} } = {}) {
      // The same RSA key signs in several ways.
      const signer =
        header.alg === undefined ? pair.privateKey : await importJWK(secretJwk, String(header.alg))
      const payload = {
        htm: method,
        htu: `${origin}${path}`,
        iat: Math.floor(clock.now().getTime() / 1000),
        jti: `proof-${++proofs}`,
        ...(token !== undefined && { ath: base64url(sha256(token)) }),
        ...claims,
      }
      // Not SignJWT, which makes no payload that breaks the rules.
      return new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
        .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk, ...header } as never)
        .sign(signer, { crit: { unknown: true } })
    },
  }
}
