/**
 * A certificate of X.509 version 3 (RFC 5280 section 4.1) for some hosts, and its key, both in PEM. Good for `days`,
 * where a negative number is one that ended.
 */
export async function selfSigned(
  hosts: string | readonly string[],
  days = 1,
): Promise<{ cert: string; key: string }> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey))
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey))
  const algorithm = der(0x30, Uint8Array.fromHex('06082a8648ce3d040302')) // ecdsa-with-SHA256
  const commonName = der(0x30, Uint8Array.fromHex('0603550403'), der(0x0c, text([hosts].flat()[0] ?? '')))
  const name = der(0x30, der(0x31, commonName))
  const day = 86_400_000
  const validity = der(0x30, utcTime(Date.now() - 100 * day), utcTime(Date.now() + days * day))
  const altNames = der(0x30, ...[hosts].flat().map((host) => der(0x82, text(host))))
  const extension = der(0x30, Uint8Array.fromHex('0603551d11'), der(0x04, altNames))
  const body = der(
    0x30,
    Uint8Array.fromHex('a003020102'), // version 3
    der(0x02, new Uint8Array([1])), // serial number
    algorithm,
    name,
    validity,
    name,
    spki,
    der(0xa3, der(0x30, extension)),
  )
  const signature = new Uint8Array(
    await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, body),
  )
  const signed = der(0x30, body, algorithm, der(0x03, new Uint8Array([0]), ecdsaSignature(signature)))
  return { cert: pem('CERTIFICATE', signed), key: pem('PRIVATE KEY', pkcs8) }
}

/** Web Crypto gives the two numbers side by side, X.509 wants two INTEGERs. */
function ecdsaSignature(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const integer = (bytes: Uint8Array) => {
    const first = bytes.findIndex((byte) => byte !== 0)
    const trimmed = bytes.subarray(first)
    return der(0x02, ...((trimmed[0] ?? 0) & 0x80 ? [new Uint8Array([0])] : []), trimmed)
  }
  return der(0x30, integer(raw.subarray(0, 32)), integer(raw.subarray(32)))
}

/** One DER value: the tag, the length, the contents. */
function der(tag: number, ...contents: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = contents.reduce((sum, { length }) => sum + length, 0)
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return new Uint8Array([tag, ...length, ...contents.flatMap((part) => [...part])])
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const utcTime = (time: number): Uint8Array<ArrayBuffer> =>
  der(0x17, text(`${new Date(time).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

// No empty line at the end of a body whose length is a multiple of 64: BoringSSL takes it for the end of a header.
const pem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${bytes
    .toBase64()
    .match(/.{1,64}/g)
    ?.join('\n')}\n-----END ${label}-----\n`
