/**
 * `bun test/suite/run.ts SECONDS [FILE…]`: every test, or those of the files, in several processes side by side, within
 * that many seconds. The last line is `N passed, N failed`: each test once. See ../README.md for why and how a file
 * that failed is run again.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { Glob } from 'bun'
import { type Outcome, readReport } from './report.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** The longest that one `bun test` may take: more than ten times what it does on two quiet cores. */
const PROCESS_SECONDS = 1200
/** More failed files than these are no accident. */
const RUN_AGAIN = 3
/** So many files share a process: enough to pay for its start, few enough to share the work out evenly. */
const TOGETHER = { e2e: 1, commands: 4, units: 12 }
type Group = keyof typeof TOGETHER

interface Job {
  group: Group
  files: string[]
}

const groupOf = (file: string): Group =>
  /(^|\/)test\/e2e\//.test(file)
    ? 'e2e'
    : /(^|\/)test\/(commands|embedded)\//.test(file)
      ? 'commands'
      : 'units'

/** The longest jobs first, so that none of them begins when everything else is over. */
function jobsOf(files: readonly string[]): Job[] {
  return (Object.keys(TOGETHER) as Group[]).flatMap((group) => {
    const own = files.filter((file) => groupOf(file) === group)
    const count = Math.ceil(own.length / TOGETHER[group])
    // Dealt out like cards: neighbours, which are alike, do not meet in one process.
    return Array.from({ length: count }, (_, index) => ({
      group,
      files: own.filter((_file, position) => position % count === index),
    }))
  })
}

const deadline = performance.now() + Number(process.argv[2]) * 1000
const secondsLeft = () => Math.max(0, (deadline - performance.now()) / 1000)
const cost = { e2e: 0, commands: 0, units: 0 }
const folder = mkdtempSync(join(tmpdir(), 'latchkey-tests-'))
let count = 0

/** Runs the files in one process, and what a crash or a hang kept from its turn in the next. */
async function run({ group, files }: Job): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  let rest = files
  while (rest.length > 0 && secondsLeft() > 0) {
    const started = performance.now()
    const path = join(folder, `${++count}.log`)
    // A file and no pipe: what a test leaves running holds nothing up, and the lines of both come in their order.
    const output = openSync(path, 'a')
    const child = Bun.spawn([process.execPath, 'test', '--timeout', '60000', ...rest], {
      cwd: ROOT,
      stdin: 'ignore',
      stdout: output,
      stderr: output,
    })
    const limit = Math.min(PROCESS_SECONDS, secondsLeft())
    let hung = false
    const timers = [
      setTimeout(() => {
        hung = true
        child.kill('SIGTERM')
      }, limit * 1000),
      setTimeout(() => child.kill('SIGKILL'), limit * 1000 + 10_000),
    ]
    const status = await child.exited
    for (const timer of timers) clearTimeout(timer)
    closeSync(output)
    const log = readFileSync(path, 'utf8')
    console.log(log.trimEnd())
    const usage = child.resourceUsage()
    const cpu = Number(usage?.cpuTime.total ?? 0) / 1e6
    cost[group] += cpu
    console.log(
      `[${((performance.now() - started) / 1000).toFixed()} s, ${cpu.toFixed()} s of CPU, ${((usage?.maxRSS ?? 0) / 1e6).toFixed()} MB]`,
    )

    const { outcomes: seen, complete } = readReport(log, rest)
    const last = seen.at(-1) ?? { file: rest[0] ?? '', passed: 0, failed: 0, skipped: 0, text: log }
    if (seen.length === 0) seen.push(last)
    if (!complete || (status !== 0 && seen.every(({ failed }) => failed === 0))) {
      last.failed++
      last.text += hung
        ? `FAILED: ${last.file} did not end within ${limit.toFixed()} seconds\n`
        : `FAILED: ${last.file} ended the process (status ${status ?? child.signalCode})\n`
    }
    outcomes.push(...seen)
    rest = complete ? [] : rest.filter((file) => !seen.some((outcome) => outcome.file === file))
  }
  for (const file of rest)
    outcomes.push({ file, passed: 0, failed: 1, skipped: 0, text: `FAILED: no time was left for ${file}\n` })
  return outcomes
}

// A path and no pattern: those begin with a dot.
const files = (
  process.argv.length > 3
    ? process.argv.slice(3).map((file) => relative(ROOT, resolve(file)))
    : [...new Glob('test/**/*.test.ts').scanSync({ cwd: ROOT })].sort()
).map((file) => `./${file}`)
const queue = jobsOf(files)
const outcomes: Outcome[] = []
const processes = Math.min(4, Math.max(2, availableParallelism()))
await Promise.all(
  Array.from({ length: processes }, async () => {
    for (let job = queue.shift(); job; job = queue.shift()) outcomes.push(...(await run(job)))
  }),
)

const failures = outcomes.filter(({ failed }) => failed > 0)
const unstable: Outcome[] = []
if (failures.length <= RUN_AGAIN)
  for (const first of failures) {
    console.log(`\n== again, on its own: ${first.file}`)
    const [again] = await run({ group: groupOf(first.file), files: [first.file] })
    if (!again || again.failed > 0) continue
    unstable.push(first)
    outcomes[outcomes.indexOf(first)] = again
  }

for (const { file, failed, text } of outcomes)
  if (failed > 0) console.log(`\n== failed: ${file}\n${text.trimEnd()}`)
if (unstable.length > 0) console.log('\n== unstable: failed at first, passed when run again on its own')
for (const { file, text } of unstable) console.log(`\n${file}\n${text.trimEnd()}`)

console.log()
for (const group of Object.keys(TOGETHER) as Group[]) {
  const own = outcomes.filter(({ file }) => groupOf(file) === group)
  const sum = (what: 'passed' | 'failed' | 'skipped') =>
    own.reduce((total, outcome) => total + outcome[what], 0)
  console.log(
    `${group}: ${own.length} files, ${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped, ${cost[group].toFixed()} s of CPU`,
  )
}
if (unstable.length > 0) console.log(`unstable: ${unstable.map(({ file }) => file).join(', ')}`)
const total = (what: 'passed' | 'failed') => outcomes.reduce((sum, outcome) => sum + outcome[what], 0)
console.log(`${total('passed')} passed, ${total('failed')} failed`)
rmSync(folder, { recursive: true, force: true })
process.exit(total('failed') > 0 ? 1 : 0)
