import { Overloaded } from '../lib/overloaded.ts'
import { createQueue } from '../lib/queue.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import { createHasher, type PasswordScheme } from './password-schemes.ts'

/** `passwords` of the configuration. */
export type PasswordsConfig = {
  readonly enabled: boolean
  /** The strength score, 0 to 4, that a new password needs. */
  readonly minimum_complexity: number
  readonly schemes: readonly PasswordScheme[]
}

/** A hash as a row holds it: the scheme's version and the text it made. */
export type StoredPassword = { version: number; hash: string }

/**
 * What a check of a password found. `upgrade`: right, and to be hashed anew with the current scheme.
 * `unknownVersion`: the row names a scheme that is not configured any more, which the operator should hear about.
 */
export type PasswordCheck = { ok: false; unknownVersion?: true } | { ok: true; upgrade: boolean }

/** Password hashing under the configured schemes. */
export type Passwords = {
  enabled: boolean
  minimumComplexity: number
  /**
   * Hashes with the newest scheme. Throws RangeError over PASSWORD_LIMIT characters (the form has checked that
   * before, with a message for people) and Overloaded.
   */
  hash(password: string): Promise<StoredPassword>
  /**
   * Checks against a stored hash; `undefined` (no such user, no password) does the work of one hash all the
   * same, so that the time does not tell who exists. Over PASSWORD_LIMIT it is wrong, for everyone. Throws Overloaded.
   */
  verify(password: string, stored: StoredPassword | undefined): Promise<PasswordCheck>
}

/** UTF-16 code units that a password may have. */
export const PASSWORD_LIMIT = 1024

const WAITING = 200

/**
 * Passwords under `config`, the highest version hashing new ones. At most two hashes a core run at once (each
 * takes 19 MiB and a thread), 200 more wait. Throws RangeError for a configuration without schemes, with a
 * version twice, or with a bcrypt cost out of range. `random` makes salts, `limits` is for tests.
 */
export function createPasswords(
  config: PasswordsConfig,
  random: Random = systemRandom,
  limits = { running: 2 * navigator.hardwareConcurrency, waiting: WAITING },
): Passwords {
  checkSchemes(config)
  const enqueue = createQueue(limits, () => new Overloaded('Too many passwords are being checked right now.'))
  const hashers = new Map(config.schemes.map((scheme) => [scheme.version, createHasher(scheme, random)]))
  const newest = Math.max(...hashers.keys())
  const current = hashers.get(newest)

  const hashNow = (password: string): Promise<string> => {
    if (!current) throw new Error('passwords are disabled and no scheme is configured')
    return enqueue(() => current.hash(password))
  }

  return {
    enabled: config.enabled,
    minimumComplexity: config.minimum_complexity,
    async hash(password) {
      if (password.length > PASSWORD_LIMIT) {
        throw new RangeError(`a password has at most ${PASSWORD_LIMIT} characters`)
      }
      return { version: newest, hash: await hashNow(password) }
    },
    async verify(password, stored) {
      if (password.length > PASSWORD_LIMIT) return { ok: false }
      const hasher = stored && hashers.get(stored.version)
      if (!stored || !hasher) {
        await hashNow(password)
        return stored ? { ok: false, unknownVersion: true } : { ok: false }
      }
      if (!(await enqueue(() => hasher.verify(password, stored.hash)))) return { ok: false }
      return { ok: true, upgrade: stored.version !== newest || hasher.outdated(stored.hash) }
    },
  }
}

function checkSchemes({ enabled, schemes }: PasswordsConfig): void {
  if (enabled && schemes.length === 0) throw new RangeError('passwords.schemes needs at least one scheme.')
  const versions = new Set<number>()
  for (const { version, algorithm, cost } of schemes) {
    if (versions.has(version)) throw new RangeError(`passwords.schemes has version ${version} twice.`)
    versions.add(version)
    if (
      algorithm === 'bcrypt' &&
      cost !== undefined &&
      !(Number.isInteger(cost) && cost >= 4 && cost <= 31)
    ) {
      throw new RangeError(`passwords.schemes: the bcrypt cost of version ${version} must be from 4 to 31.`)
    }
  }
}
