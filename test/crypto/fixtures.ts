import { generateKeyPairSync, type KeyObject } from 'node:crypto'

// Throw-away keys of types that the runtime can't make, from `openssl`, as base64 of their DER.
export const SECP256K1_SEC1 =
  'MHQCAQEEIGjjewJJvSBLbrCny3tj0GPeEwVmYRJ2HvQ9BgNHTTIGoAcGBSuBBAAKoUQDQgAEmLNKf9kVYro1fuk9XMGVCxuxan6InRkuxh8grhNl4GOjcGARlEax5vActWmgJl2vYfYk7Mc+F7/EV9glhfOS3g=='
export const SECP256K1_PKCS8 =
  'MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgaON7Akm9IEtusKfLe2PQY94TBWZhEnYe9D0GA0dNMgahRANCAASYs0p/2RViujV+6T1cwZULG7FqfoidGS7GHyCuE2XgY6NwYBGURrHm8By1aaAmXa9h9iTsxz4Xv8RX2CWF85Le'
/** PBES2 with PBKDF2, password `hunter2`. */
export const SECP256K1_ENCRYPTED =
  'MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiD6zi1pIhb+gICCAAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENBlk3LOl0fhUiKganm2Q4kEgZC5zRTow1BiT68SPE8qH5x/KU17N1E2+ZFiOM1IVGqc1ja9Z1GXnj5JrRzTs3X1JxXzGaAKLNpepbELaVR+s7rYHYia9WgVu0M026VjFf5TR2ifNYCm9BeUdqw2fe+7y6qz1NXBD18kSpw1nn+C5cQ+FxgOzs4pnsA/tP/Ii+NRC2kmQfpkK/aTi8z0ssi3nPU='
/** A P-256 key under PBES2 with scrypt, password `hunter2`. */
export const P256_SCRYPT =
  'MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAgvTqkamhBvTAICQAACAQgCAQEwHQYJYIZIAWUDBAEqBBCJPc9pi9JFbhk04gxsad/tBIGQHcHvqToIu+NLA3P376Z3wMDh2xB+cmkt9aHURjcE0rPHpVyq3weAdd5UzT4hhT+IgXX+P52FhPyeeCrb9FPzvE9Y9vzQoNDh7+Z4ujXun9vvMc2pwQKP+3oirRHzH1QLR+j7J0p6Epr+897dx+27P9pWQUcDDgyX91csqXTgPKSPC7AHaqxf0mprj9r3D6Ey'
export const ED448_PKCS8 =
  'MEcCAQAwBQYDK2VxBDsEOVYPMAXvzcfFGoZzlQGRC7TIwgQJpubeCWH5sFuVWJ+ByL1e9hdMiafzuBkvA5Uu31CWwgRgl6bJfg=='

export const pem = (base64: string, label = 'PRIVATE KEY') =>
  `-----BEGIN ${label}-----\n${base64.replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`

export const der = (base64: string) => Uint8Array.fromBase64(base64)

export const PASSWORD = 'hunter2'
export const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
export const SMALL_RSA = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
export const P256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
export const P384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
export const P521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey
export const ED25519 = generateKeyPairSync('ed25519').privateKey
export const X25519 = generateKeyPairSync('x25519').privateKey

export type Encoding = { type: 'pkcs1' | 'pkcs8' | 'sec1'; format: 'pem' | 'der'; encrypted?: boolean }

/** A key as a configuration holds it: text for PEM, bytes for DER. */
export function encode(key: KeyObject, { type, format, encrypted = false }: Encoding): string | Uint8Array {
  const options = encrypted ? { type, format, cipher: 'aes-256-cbc', passphrase: PASSWORD } : { type, format }
  return key.export(options as { type: 'pkcs8'; format: 'pem' })
}

export const pkcs8 = (key: KeyObject) => String(key.export({ type: 'pkcs8', format: 'pem' }))
