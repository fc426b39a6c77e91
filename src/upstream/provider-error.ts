import type { ProviderNotice } from '../identity/provider-notice.ts'

/** A provider could not be reached, or did not answer as it must. The message is for the log alone. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError'
  readonly problem: ProviderNotice

  constructor(problem: ProviderNotice, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.problem = problem
  }
}
