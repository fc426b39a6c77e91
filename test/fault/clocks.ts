import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuTime } from '../bench/process-figures.ts'
import { checkJobs } from './jobs.ts'
import type { Fault } from './report.ts'
import { underLoad } from './under-load.ts'

/** Seconds that the clock jumps. */
const JUMP = 3600
/** Seconds that the processes are watched for after a jump. */
const WATCH = 4
/** The share of a core that a server of this load may use; a loop that does not rest uses a whole one. */
const REST = 0.9

const jumping: Fault = {
  name: 'clock-jumps',
  title:
    'the clock of the servers jumps an hour forwards, an hour back to right, an hour backwards, and to right again',
  async run(report) {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-fault-clock-'))
    const file = join(folder, 'offset')
    const set = (seconds: number) => writeFile(file, String(seconds))
    await set(0)
    try {
      await underLoad(
        report,
        'clock',
        async ({ deployment, servers, load }) => {
          for (const seconds of [JUMP, 0, -JUMP, 0]) {
            await set(seconds)
            await Bun.sleep(1000)
            const before = await Promise.all(servers.map(({ pid }) => cpuTime(pid)))
            await Bun.sleep(WATCH * 1000)
            const after = await Promise.all(servers.map(({ pid }) => cpuTime(pid)))
            const shares = after.map((one, at) => ((one ?? 0) - (before[at] ?? 0)) / (WATCH * 1000))
            report.check(
              `at ${seconds} s: no server runs in a loop`,
              Math.max(...shares) < REST,
              `${shares.map((share) => `${(share * 100).toFixed(0)} %`).join(', ')} of a core`,
            )
            report.check(
              `at ${seconds} s: nobody is signed out`,
              load.signedOut.length === 0,
              load.signedOut.join(' '),
            )
          }
          await checkJobs(report, deployment)
        },
        {
          expiring: true,
          server: {
            bun: ['--preload', join(import.meta.dirname, 'skewed-clock.ts')],
            env: { FAULT_CLOCK_FILE: file },
          },
        },
      )
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

export const clockFaults: readonly Fault[] = [jumping]
