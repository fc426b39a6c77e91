/** Why the embedded PostgreSQL can't be used: one sentence for the person at the terminal. */
export class ClusterError extends Error {
  override name = 'ClusterError'
  /** `in_use`: another process owns the cluster and the caller wanted it for itself. */
  readonly reason: 'in_use' | 'unusable'
  constructor(message: string, options: { reason?: 'in_use' | 'unusable'; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.reason = options.reason ?? 'unusable'
  }
}
