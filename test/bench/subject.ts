import { type LoadResult, load } from './load.ts'
import { cpuTime } from './process-figures.ts'
import { median, percentile, spread } from './stats.ts'

/** One kind of request, and what several rounds of it found. */
export interface Subject {
  name: string
  requests: number
  port: number
  /** The status of a right answer; 200 without. */
  status?: number
  next(connection: number): string
  answered?(connection: number, body: string): void
  rounds: (LoadResult & { cpu: number | undefined })[]
}

export const HEADINGS = ['', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs/request']

/** Sends one round of a subject to the process `pid`, and keeps what it found. */
export async function run(subject: Subject, pid: number, connections: number): Promise<void> {
  const before = await cpuTime(pid)
  const result = await load({ ...subject, connections })
  const after = await cpuTime(pid)
  const cpu = before === undefined || after === undefined ? undefined : after - before
  subject.rounds.push({ ...result, cpu })
}

const speed = ({ requests, seconds }: LoadResult): number => requests / seconds

/** The line of a subject in a table under HEADINGS. */
export function row({ name, rounds }: Subject): string[] {
  const latencies = rounds.flatMap((round) => round.latencies)
  const cpu = rounds.map((round) => ((round.cpu ?? Number.NaN) * 1000) / round.requests)
  return [
    name,
    spread(rounds.map(speed), 0),
    percentile(latencies, 0.5).toFixed(2),
    percentile(latencies, 0.99).toFixed(2),
    median(cpu).toFixed(0),
  ]
}

/** The speed of a subject through that of the baseline which ran right before it, round by round. */
export const ratios = (subject: Subject, baseline: Subject): string =>
  spread(
    subject.rounds.map((round, index) => {
      const base = baseline.rounds[index]
      return base ? speed(round) / speed(base) : Number.NaN
    }),
  )
