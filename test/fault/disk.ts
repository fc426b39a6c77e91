import { chmod, mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPostgres } from './postgres.ts'
import type { Fault } from './report.ts'
import { underLoad } from './under-load.ts'

/** Bytes of the disk that becomes full. */
const SIZE = '160m'

const full: Fault = {
  name: 'disk-full',
  title: 'the disk of PostgreSQL becomes full; after a while there is room again',
  async run(report) {
    const disk = await mkdtemp(join(tmpdir(), 'latchkey-fault-'))
    await chmod(disk, 0o755)
    const mounted = await command(['mount', '-t', 'tmpfs', '-o', `size=${SIZE},mode=755`, 'tmpfs', disk])
    if (mounted !== 0) {
      await rm(disk, { recursive: true, force: true })
      return report.skip('only root can mount a small disk')
    }
    try {
      // In a folder of its own: a mount can't be removed.
      const inside = join(disk, 'postgres')
      await mkdir(inside)
      const postgres = await createPostgres(inside)
      // Segments of WAL are not reused for long here, so that the disk matters soon.
      const settings = [
        'max_wal_size=32MB',
        'min_wal_size=32MB',
        'shared_buffers=16MB',
        'full_page_writes=on',
      ]
      await postgres.start(settings)
      await underLoad(
        report,
        'full',
        async ({ deployment, load }) => {
          const { bavail, bsize } = await statfs(disk)
          await writeFile(join(disk, 'filler'), new Uint8Array(bavail * bsize)).catch(() => undefined)
          // WAL that was laid up in advance lasts for a while: more writes, until there is no room for them.
          const write = deployment.sql`
            create table public.more as select repeat('x', 1000) as text from generate_series(1, 200000)`
          const refused = await write.then(
            () => 'not refused',
            (error: { code?: string }) => error.code ?? String(error),
          )
          const before = load.tally.of(503)
          await Bun.sleep(4000)
          report.check(
            'the disk is full for PostgreSQL too',
            refused !== 'not refused',
            `${refused}, ${load.tally.of(503) - before} requests answered 503, PostgreSQL ${postgres.runs() ? 'lives' : 'has ended'}`,
          )
          await rm(join(disk, 'filler'))
          // An administrator makes room; whoever supervises PostgreSQL starts it again.
          if (!postgres.runs()) await postgres.start(settings)
          await Bun.sleep(2000)
        },
        { postgres },
      )
      await postgres.remove()
    } finally {
      await command(['umount', '-l', disk])
      await rm(disk, { recursive: true, force: true })
    }
  },
}

const command = (args: string[]): Promise<number> =>
  Bun.spawn(args, { stdout: 'ignore', stderr: 'ignore' }).exited

export const diskFaults: readonly Fault[] = [full]
