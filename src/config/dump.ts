import { stringify } from 'yaml'

/** Stands where a secret was. */
export const MASK = '(secret)'

/** Keys whose text is a secret, wherever they are: also below the mappings that the schema does not look into. */
const SECRET_KEY =
  /^(key|encryption|dsn|ssl_key|secret|secret_key|client_secret|password|passwd|private_key|token|api_key|previous_encryption)$|_(secret|password|token|api_key)$/

/** Members of a JWK that its owner alone knows (RFC 7518 section 6). */
const PRIVATE_JWK = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])

/**
 * A configuration as YAML: what files and variables say together, without defaults, so that it can be read again.
 * Secrets are masked unless `showSecrets`; `x-` keys, which may hold anything, are left out then.
 */
export const dumpConfig = (input: unknown, { showSecrets }: { showSecrets: boolean }): string =>
  stringify(showSecrets ? input : masked(input, []), { aliasDuplicateObjects: false, lineWidth: 110 })

function masked(value: unknown, path: readonly string[]): unknown {
  const name = path.findLast((part) => part !== '') ?? ''
  if (typeof value === 'string') return isSecret(path, name) ? MASK : withoutPassword(value)
  if (Array.isArray(value)) return value.map((item) => masked(item, [...path, '']))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !key.startsWith('x-'))
      .map(([key, item]) => [key, masked(item, [...path, key])]),
  )
}

const isSecret = (path: readonly string[], name: string): boolean =>
  SECRET_KEY.test(name) || (path.includes('jwks') && PRIVATE_JWK.has(name))

/** The address of a database or a proxy may hold a password, in either place where libpq reads one. */
const withoutPassword = (text: string): string =>
  text
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@:]*):[^/?#]*@/i, `$1:${MASK}@`)
    .replace(/([?&](?:password|sslpassword)=)[^&#]*/gi, `$1${MASK}`)
