import type { Finding, Verdict } from './finding.ts'

const WIDTH = 8

/** A finding for a terminal: the verdict, what was seen, what to do, the lines to paste. */
export function printFinding({ check, subject, verdict, reason, mend, paste }: Finding): string {
  const indent = ' '.repeat(WIDTH + 2)
  const lines = [
    `${verdict.padEnd(WIDTH)}  ${check}${subject === undefined ? '' : ` (${subject})`}: ${reason}`,
  ]
  if (mend !== undefined) lines.push(`${indent}${mend}`)
  if (paste) {
    lines.push(`${indent}${paste.into}:`)
    lines.push(...paste.lines.map((line) => `${indent}  ${line}`))
  }
  return lines.join('\n')
}

/** The last line. */
export function printSummary(summary: Record<Verdict, number>): string {
  const { ok, warning, failed, skipped } = summary
  return `\nIn order: ${ok}, warnings: ${warning}, failed: ${failed}, not checked: ${skipped}.`
}
