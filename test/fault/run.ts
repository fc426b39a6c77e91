/** `bun run faults`: a running service under every kind of trouble. See README.md. */
import { parseArgs } from 'node:util'
import { clockFaults } from './clocks.ts'
import { databaseFaults } from './database.ts'
import { diskFaults } from './disk.ts'
import { jobsKilled } from './job-kills.ts'
import { killed } from './kills.ts'
import { type Fault, type Finding, runFault, summarize } from './report.ts'
import { serviceFaults } from './services.ts'
import { versionFaults } from './versions.ts'

const FAULTS: readonly Fault[] = [
  ...databaseFaults,
  ...diskFaults,
  ...clockFaults,
  ...serviceFaults,
  ...versionFaults,
  killed,
  jobsKilled,
]

const { values: options } = parseArgs({
  options: {
    /** The name of a fault, several times for several. */
    only: { type: 'string', multiple: true },
  },
})
const unknown = options.only?.filter((name) => !FAULTS.some((fault) => fault.name === name)) ?? []
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There is: ${FAULTS.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}

const begun = performance.now()
const findings: Finding[] = []
for (const fault of FAULTS)
  if (!options.only || options.only.includes(fault.name)) await runFault(fault, findings)
const broken = summarize(findings)
console.log(
  `${findings.length} invariants, ${broken} broken, ${((performance.now() - begun) / 1000).toFixed(0)} s`,
)
process.exit(broken === 0 ? 0 : 1)
