import { findClient } from '../../sql/clients.ts'
import { type ActivePersonalTokenRow, findActivePersonalToken } from '../../sql/personal-sessions.ts'
import { type ActiveTokenRow, findActiveAccessTokens, markFirstUse } from '../../sql/tokens.ts'
import { parseToken, tokenDigest } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'
import { gather } from '../lib/gather.ts'
import { checkProof, DPOP_ALGORITHMS, keyOfAccessToken, type Proof, spendProof } from './dpop.ts'
import { algorithmsFor } from './fapi2.ts'

type Needs = Pick<Deps, 'sql' | 'clock' | 'activity' | 'accessTokens'>

/** The row of the good access token that has this digest. */
export type AccessTokens = (digest: Uint8Array) => Promise<ActiveTokenRow | undefined>

/**
 * Finds access tokens. Those that are asked for while two questions are under way are asked for together: under load that
 * takes a third off what an introspection costs Latchkey and the database.
 */
export const createAccessTokens = ({ sql, clock }: Pick<Deps, 'sql' | 'clock'>): AccessTokens =>
  gather(
    async (digests) => {
      const rows: (ActiveTokenRow | undefined)[] = new Array(digests.length)
      for (const row of await findActiveAccessTokens(sql, digests, clock.now())) rows[row.at - 1] = row
      return rows
    },
    { atOnce: 2, atMost: 100 },
  )

/**
 * What a good access token stands for; undefined for any other. Looking counts as a use, see `noteUse`. It is for
 * introspection: nobody proves the key here that the token may be bound to (`authenticateAccessToken`).
 */
export async function useAccessToken(
  deps: Pick<Deps, 'sql' | 'activity' | 'accessTokens'>,
  token: string,
  now: Date,
): Promise<ActiveTokenRow | undefined> {
  const row = await deps.accessTokens(tokenDigest(token))
  if (row) await noteUse(deps, row, now)
  return row
}

/**
 * Notes a use: from then on the predecessor of the token cannot be retried (decision 7), and its session was seen, from
 * nobody knows where: who asks may be the homeserver.
 */
async function noteUse(deps: Pick<Deps, 'sql' | 'activity'>, row: ActiveTokenRow, now: Date): Promise<void> {
  if (row.unused) await markFirstUse(deps.sql, row, now)
  deps.activity.record('oauth', row.session_id, now)
}

/** An access token as a request to a protected resource presents it. */
export interface Credentials {
  scheme: 'Bearer' | 'DPoP'
  token: string
}

/** Why a request to a protected resource is refused: its status, and its `WWW-Authenticate` if it has one. */
export interface Refusal {
  status: 400 | 401
  challenge: string | undefined
}

/** The credentials in the Authorization header: undefined without one, `malformed` for any other kind. */
export function readCredentials(request: Request): Credentials | undefined | 'malformed' {
  const header = request.headers.get('authorization')
  if (header === null) return undefined
  const [, scheme = '', token] = /^(bearer|dpop) +([\x21-\x7e]+)$/i.exec(header) ?? []
  if (token === undefined) return 'malformed'
  return { scheme: scheme.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer', token }
}

/** RFC 9449 section 7.1. */
const dpopChallenge = (error: 'invalid_token' | 'invalid_dpop_proof', description: string): Refusal => ({
  status: 401,
  challenge: `DPoP error="${error}", error_description="${description}", algs="${DPOP_ALGORITHMS.join(' ')}"`,
})

/**
 * What the access token of a request to a protected resource of ours stands for; `address` is where clients know that
 * resource. A token that is bound to a key is good only with the scheme DPoP and a proof of that key, any other one only
 * with the scheme Bearer (RFC 9449 section 7). A good one counts as used.
 */
export async function authenticateAccessToken(
  deps: Needs,
  request: Request,
  address: string,
  { scheme, token }: Credentials,
): Promise<ActiveTokenRow | Refusal> {
  let proof: Proof | undefined
  if (scheme === 'DPoP') {
    const checked = await checkProof(deps, request, address, token)
    if (typeof checked === 'string') return dpopChallenge('invalid_dpop_proof', checked)
    proof = checked
  }
  const now = deps.clock.now()
  const row = parseToken(token) === 'mat' ? await deps.accessTokens(tokenDigest(token)) : undefined
  if (!row)
    return proof
      ? dpopChallenge('invalid_token', 'the token is not good')
      : { status: 401, challenge: undefined }
  const bound = keyOfAccessToken(row)
  if (bound !== proof?.jkt)
    return dpopChallenge('invalid_token', 'the token is bound to another key, or to none')
  if (proof && !(await maySignProof(deps, row.client_id, proof)))
    return dpopChallenge('invalid_dpop_proof', `this client may not sign with ${proof.alg}`)
  const spent = proof && (await spendProof(deps, proof))
  if (spent !== undefined) return dpopChallenge('invalid_dpop_proof', spent)
  await noteUse(deps, row, now)
  return row
}

/** FAPI 2.0 Security Profile section 5.4.1: whoever has an RSA key could also sign in another way with it. */
async function maySignProof({ sql }: Pick<Deps, 'sql'>, clientId: string, { alg }: Proof): Promise<boolean> {
  const [client] = await findClient(sql, clientId)
  return client !== undefined && algorithmsFor(client, DPOP_ALGORITHMS).includes(alg)
}

/** What a good personal token stands for; undefined for any other. Its session was seen, from nobody knows where. */
export async function usePersonalToken(
  deps: Pick<Deps, 'sql' | 'activity'>,
  token: string,
  now: Date,
): Promise<ActivePersonalTokenRow | undefined> {
  const [row] = await findActivePersonalToken(deps.sql, tokenDigest(token), now)
  if (row) deps.activity.record('personal', row.session_id, now)
  return row
}
