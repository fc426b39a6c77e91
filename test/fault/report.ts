import { table } from '../bench/stats.ts'

/** What a fault must not break, and whether it held. */
export interface Finding {
  fault: string
  invariant: string
  held: boolean
  /** In figures: `412 refreshes, 31 of them 503`. */
  found: string
}

export interface Report {
  /** Notes whether an invariant held, and prints it. */
  check(invariant: string, held: boolean, found?: string): void
  /** Says why a part can't be tried on this machine. */
  skip(why: string): void
}

/** One kind of trouble: brings it about and checks what must hold. */
export interface Fault {
  name: string
  title: string
  run(report: Report): Promise<void>
}

/** Runs one fault; an error of the suite itself counts as an invariant that did not hold. */
export async function runFault(fault: Fault, findings: Finding[]): Promise<void> {
  console.log(`\n== ${fault.name}: ${fault.title}`)
  const begun = performance.now()
  const note = (invariant: string, held: boolean, found: string) => {
    findings.push({ fault: fault.name, invariant, held, found })
    console.log(`  ${held ? 'held  ' : 'BROKEN'}  ${invariant}${found === '' ? '' : ` (${found})`}`)
  }
  try {
    await fault.run({
      check: (invariant, held, found = '') => note(invariant, held, found),
      skip: (why) => console.log(`  skipped  ${why}`),
    })
  } catch (error) {
    note(`the run itself: ${error instanceof Error ? (error.stack ?? error.message) : error}`, false, '')
  }
  console.log(`  ${((performance.now() - begun) / 1000).toFixed(0)} s`)
}

/** The table at the end; gives how many invariants did not hold. */
export function summarize(findings: readonly Finding[]): number {
  const faults = [...new Set(findings.map(({ fault }) => fault))]
  const rows = faults.map((fault) => {
    const own = findings.filter((finding) => finding.fault === fault)
    return [fault, String(own.length), String(own.filter(({ held }) => !held).length)]
  })
  const broken = findings.filter(({ held }) => !held)
  console.log(`\n${table(['fault', 'invariants', 'broken'], rows)}\n`)
  for (const { fault, invariant, found } of broken) console.log(`BROKEN ${fault}: ${invariant} (${found})`)
  return broken.length
}
