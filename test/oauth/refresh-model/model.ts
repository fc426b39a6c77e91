import type { Pair } from '../../support/world.ts'

/**
 * What must be true of one session, kept beside the real one. `pairs` is its chain: each pair was made from the one
 * before. The client keeps one pair in one store, as apps do, and presents it again until it has an answer.
 */
export interface Model {
  /** Undefined for a pair that was made, but whose answer nobody has seen. */
  pairs: (Pair | undefined)[]
  /** Index of the pair that the client holds: the newest, or the one before while the newest got lost. */
  holds: number
  /** The access token of the newest pair was used: the pair before cannot be retried any more. */
  used: boolean
  /** Milliseconds since 1970 at which the newest access token that the client was told ends. */
  expiresAt: number
  /** `secrets.encryption` changed since the newest pair was made, so another pair may take its place. */
  keyChanged: boolean
  locked: boolean
  deactivated: boolean
  ended: boolean
  /** The setting `oauth.refresh_token_reuse: end_session`. */
  reuseEnds: boolean
  /** Its tokens are bound to a key, which the client proves. */
  bound: boolean
}

/** What presenting a token must lead to. */
export type Outcome =
  /** The token is replaced by a new pair. */
  | 'rotated'
  /** The same successor again: its answer got lost, or another tab was first. */
  | 'repeated'
  /** The session waits for the account to be unlocked. */
  | 'waits'
  /** The successor was used: a stolen token, or a restored backup. */
  | 'reused'
  | 'ended'

/** What presenting the pair of an index must lead to. */
export function outcomeOf(model: Model, index: number): Outcome {
  const newest = model.pairs.length - 1
  if (model.ended || model.deactivated) return 'ended'
  if (model.locked) return 'waits'
  if (index === newest) return 'rotated'
  return index === newest - 1 && !model.used ? 'repeated' : 'reused'
}

/** The status and code that a client sees. */
export const ANSWERS: Record<Outcome, { status: number; error: string | undefined }> = {
  rotated: { status: 200, error: undefined },
  repeated: { status: 200, error: undefined },
  waits: { status: 503, error: 'temporarily_unavailable' },
  reused: { status: 400, error: 'invalid_grant' },
  ended: { status: 400, error: 'invalid_grant' },
}

/** Whether the homeserver must accept the access token that the client holds. */
export const isActive = (model: Model, now: Date): boolean =>
  !model.ended &&
  !model.deactivated &&
  !model.locked &&
  model.holds === model.pairs.length - 1 &&
  now.getTime() < model.expiresAt
