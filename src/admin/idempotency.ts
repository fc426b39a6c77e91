import {
  answerIdempotencyKey,
  claimIdempotencyKey,
  findIdempotencyKey,
  releaseIdempotencyKey,
} from '../../sql/idempotency.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds } from '../lib/clock.ts'
import { equalBytes, sha256 } from '../lib/digest.ts'
import type { Reply } from './operation.ts'

/** Seconds after which a request that never answered counts as dead: longer than any operation takes. */
const ABANDONED = 120

/** What a caller may choose as a key. */
const KEY = /^[\x21-\x7e]{1,255}$/

/**
 * Runs a creation once for each `Idempotency-Key` of a caller: asked again with the same body it answers what it
 * answered first, token included, for a day. A key belongs to the session that used it. Without the header it just runs.
 *
 * @throws AdminError 400 for a key that is none, 409 while the first request runs, 422 for the same key with another body
 */
export async function once(
  deps: Pick<Deps, 'sql' | 'clock' | 'secrets' | 'log'>,
  request: { key: string | null; sessionId: string; operation: string; body: unknown },
  create: () => Promise<Reply>,
): Promise<Reply> {
  if (request.key === null) return create()
  if (!KEY.test(request.key))
    throw new AdminError(
      400,
      'invalid_idempotency_key',
      'The Idempotency-Key must be 1 to 255 visible characters.',
    )
  const keyHash = sha256(`${request.sessionId} ${request.key}`)
  const requestHash = sha256(JSON.stringify([request.operation, request.body]))
  const context = `idempotency:${base64url(keyHash)}`
  const now = deps.clock.now()
  const abandoned = addSeconds(now, -ABANDONED)
  const [claimed] = await claimIdempotencyKey(deps.sql, { keyHash, requestHash, now, abandoned })
  if (!claimed) return earlierAnswer(deps, keyHash, requestHash, context)
  let reply: Reply
  try {
    reply = await create()
  } catch (error) {
    // Nothing was created: the next try may.
    await releaseIdempotencyKey(deps.sql, keyHash).catch((cause: unknown) =>
      deps.log.warn('admin.idempotency_release_failed', { error: cause }),
    )
    throw error
  }
  const sealed = await deps.secrets.seal(JSON.stringify(reply), context)
  await answerIdempotencyKey(deps.sql, keyHash, reply.status ?? 200, sealed)
  return reply
}

async function earlierAnswer(
  deps: Pick<Deps, 'sql' | 'secrets'>,
  keyHash: Uint8Array,
  requestHash: Uint8Array,
  context: string,
): Promise<Reply> {
  const [row] = await findIdempotencyKey(deps.sql, keyHash)
  if (row && !equalBytes(row.request_hash, requestHash))
    throw new AdminError(422, 'idempotency_key_reused', 'This Idempotency-Key was used for another request.')
  const answer = row?.sealed_answer ? await deps.secrets.open(row.sealed_answer, context) : undefined
  if (answer !== undefined) return JSON.parse(answer) as Reply
  throw new AdminError(409, 'in_progress', 'A request with this Idempotency-Key is under way.', {
    headers: { 'retry-after': '1' },
  })
}
