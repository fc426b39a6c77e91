/**
 * The directory could not be asked. `away`: it does not answer, or is too busy to. `misconfigured`: it answers, and not to
 * what we ask, so an operator has to look. The message is for the log alone.
 */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError'
  readonly problem: 'away' | 'misconfigured'

  constructor(problem: 'away' | 'misconfigured', message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.problem = problem
  }
}
