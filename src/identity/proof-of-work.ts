import type { Challenge, Solution } from 'altcha-lib/types'
import type { Deps } from '../deps.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds } from '../lib/clock.ts'
import { equalSecrets, hmacSha256, sha256 } from '../lib/digest.ts'

/**
 * The proof of work of the sign-up: the browser looks for a number whose derived key begins as the challenge says
 * (ALTCHA, version 2, `PBKDF2/SHA-256`). It takes a second or two there and less than a millisecond here.
 */

/** Iterations of each try. */
const COST = 2000
/** Between how many tries and how many a challenge takes. */
const TRIES = { least: 500, most: 1500 }
/** Seconds that a challenge is good for: as long as a sign-up may take. */
const LIFETIME = 3600
/** Characters of a solution as it comes from the form; ours have about 700. */
const PAYLOAD_LIMIT = 4000

type Needs = Pick<Deps, 'clock' | 'secrets'>

/** What is known of a challenge of ours. `id` is the same however often it is sent. */
export interface KnownChallenge {
  id: string
  issuedAt: Date
  expiresAt: Date
}

// Loaded when somebody asks: most deployments use another check, or none.
const library = () => Promise.all([import('altcha-lib'), import('altcha-lib/algorithms/pbkdf2')])

/** The two keys of the library, which wants text. */
const hmacSecrets = ({ secrets }: Needs) => ({
  hmacSignatureSecret: base64url(hmacSha256(secrets.captcha, 'challenge')),
  hmacKeySignatureSecret: base64url(hmacSha256(secrets.captcha, 'key')),
})

const browserMark = ({ secrets }: Needs, browserId: string): string =>
  base64url(hmacSha256(secrets.captcha, `browser\n${browserId}`).subarray(0, 12))

/** A new challenge for one browser, as the text of a form field. */
export async function createProof(deps: Needs & Pick<Deps, 'random'>, browserId: string): Promise<string> {
  const [{ createChallenge }, { deriveKey }] = await library()
  const span = TRIES.most - TRIES.least + 1
  const number = new DataView(deps.random.bytes(4).buffer).getUint32(0)
  const challenge = await createChallenge({
    algorithm: 'PBKDF2/SHA-256',
    cost: COST,
    counter: TRIES.least + (number % span),
    deriveKey,
    // Not `expiresAt` of the library: it asks the clock of the machine.
    data: { issued: deps.clock.now().getTime(), browser: browserMark(deps, browserId) },
    ...hmacSecrets(deps),
  })
  return btoa(JSON.stringify(challenge))
}

/** The challenge of a form, solved or not; undefined when it is none of ours, another browser's, or too old. */
export async function readProof(
  deps: Needs,
  browserId: string,
  field: string,
): Promise<KnownChallenge | undefined> {
  const challenge = parse(field)
  if (!isChallenge(challenge)) return undefined
  const [{ verifySolution }, { deriveKey }] = await library()
  const { invalidSignature } = await verifySolution({
    challenge,
    deriveKey,
    solution: { counter: 0, derivedKey: '' },
    ...hmacSecrets(deps),
  })
  if (invalidSignature !== false) return undefined
  const { issued, browser } = challenge.parameters.data ?? {}
  if (typeof issued !== 'number' || typeof browser !== 'string') return undefined
  const issuedAt = new Date(issued)
  const expiresAt = addSeconds(issuedAt, LIFETIME)
  const isOurs = equalSecrets(browser, browserMark(deps, browserId)) && expiresAt > deps.clock.now()
  return isOurs ? { id: base64url(sha256(challenge.signature ?? '')), issuedAt, expiresAt } : undefined
}

/** The challenge that a solution solves, if it does and this browser was given it; undefined otherwise. */
export async function checkProof(
  deps: Needs,
  browserId: string,
  payload: string,
): Promise<KnownChallenge | undefined> {
  const { challenge, solution } = record(parse(payload))
  if (!isChallenge(challenge) || !isSolution(solution)) return undefined
  const known = await readProof(deps, browserId, btoa(JSON.stringify(challenge)))
  if (!known) return undefined
  const [{ verifySolution }, { deriveKey }] = await library()
  const { verified } = await verifySolution({ challenge, deriveKey, solution, ...hmacSecrets(deps) })
  return verified ? known : undefined
}

/** Base64 of JSON, however strange what it says. */
function parse(text: string): unknown {
  if (text.length > PAYLOAD_LIMIT) return undefined
  try {
    return JSON.parse(atob(text))
  } catch {
    return undefined
  }
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {}

/** Of the form that the library expects; whether it is ours says the signature. */
function isChallenge(value: unknown): value is Challenge {
  const { parameters, signature } = record(value)
  return typeof signature === 'string' && /^[0-9a-f]{64}$/.test(signature) && 'nonce' in record(parameters)
}

function isSolution(value: unknown): value is Solution {
  const { counter, derivedKey } = record(value)
  return typeof counter === 'number' && typeof derivedKey === 'string'
}
