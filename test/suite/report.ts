/** What became of one test file. */
export interface Outcome {
  file: string
  passed: number
  failed: number
  skipped: number
  /** What `bun test` printed of it, without the tests that passed. */
  text: string
}

/** What one `bun test` printed. */
export interface Report {
  /** The files that it came to, in order. */
  outcomes: Outcome[]
  /** Whether it came to its end: one that crashes, or that a test ends, says no totals. */
  complete: boolean
}

/** Reads what `bun test` printed of `files` (paths as they were given to it). */
export function readReport(log: string, files: readonly string[]): Report {
  const byHeading = new Map(files.map((file) => [`${file.replace(/^\.\//, '')}:`, file]))
  const outcomes: Outcome[] = []
  let complete = false
  let summing = false
  for (const line of log.split('\n')) {
    const file = byHeading.get(line)
    if (file !== undefined) {
      outcomes.push({ file, passed: 0, failed: 0, skipped: 0, text: '' })
      continue
    }
    const outcome = outcomes.at(-1)
    if (!outcome) continue
    // After the last file, a long run names what failed or was skipped once more.
    summing ||= /^\d+ tests? (failed|skipped|todo):$/.test(line)
    if (/^Ran \d+ tests? across \d+ files?\./.test(line)) complete = true
    if (summing) continue
    // A test may have written half a line before.
    const said = /(?:\((pass|fail|skip|todo)\) |^# (Unhandled) error between tests)/.exec(line)
    const verdict = said?.[1] ?? said?.[2]
    if (verdict === 'pass') outcome.passed++
    else if (verdict === 'skip' || verdict === 'todo') outcome.skipped++
    else if (verdict) outcome.failed++
    if (verdict !== 'pass') outcome.text += `${line}\n`
  }
  return { outcomes, complete }
}
