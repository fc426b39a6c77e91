import {
  exportJWK,
  type GenerateKeyPairResult,
  generateKeyPair,
  importJWK,
  type JWTPayload,
  SignJWT,
} from 'jose'

/** A signing key of a client: it makes assertions, and shows its public half as a JWK. */
export interface ClientKey {
  jwk: Record<string, unknown>
  sign(claims: JWTPayload, header?: { alg?: string; kid?: string; typ?: string }): Promise<string>
}

/** A fresh key for `alg`, published under `kid`; one without a name for ''. */
export async function clientKey(alg = 'ES256', kid = 'client-key'): Promise<ClientKey> {
  const pair: GenerateKeyPairResult = await generateKeyPair(alg, { extractable: true })
  const name = kid === '' ? {} : { kid }
  return {
    jwk: { ...(await exportJWK(pair.publicKey)), ...name, alg, use: 'sig' },
    async sign(claims, header = {}) {
      // An RSA key signs in several ways.
      const { privateKey } = pair
      const other = header.alg !== undefined && header.alg !== alg
      const key = other ? await importJWK(await exportJWK(privateKey), header.alg) : privateKey
      return new SignJWT(claims).setProtectedHeader({ alg, ...name, ...header }).sign(key)
    },
  }
}

/** A JWT under a shared secret. */
export const signWithSecret = (claims: JWTPayload, secret: string, alg = 'HS256'): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret))
