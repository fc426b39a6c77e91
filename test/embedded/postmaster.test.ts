import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { link, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runningPostmaster } from '../../src/embedded/postmaster.ts'

let cluster = ''
beforeAll(async () => {
  cluster = await mkdtemp(join(tmpdir(), 'latchkey-postmaster-'))
})
afterAll(() => rm(cluster, { recursive: true, force: true }))

/** A process that lives and is not PostgreSQL on this cluster. */
const bystander = 1
const pidFile = () => join(cluster, 'postmaster.pid')

describe('a pid file whose number belongs to another process', () => {
  test('is defused: PostgreSQL takes our pid for a stale one, and finds the other lines', async () => {
    await writeFile(pidFile(), `${bystander}\n/data\n1700000000\n5432\n`)
    expect(await runningPostmaster(cluster)).toBeUndefined()
    expect(await readFile(pidFile(), 'utf8')).toBe(`${process.pid}\n/data\n1700000000\n5432\n`)
  })

  test.each([
    ['symbolic', symlink],
    ['hard', link],
  ])(
    'but a %s link in its place is left alone: the account of PostgreSQL must not have us write elsewhere',
    async (_, make) => {
      const victim = join(cluster, 'victim')
      await writeFile(victim, `${bystander}\nkept\n`)
      await rm(pidFile(), { force: true })
      await make(victim, pidFile())
      const error = await runningPostmaster(cluster).catch((cause: Error) => cause)
      expect(error).toMatchObject({
        name: 'ClusterError',
        message: `${pidFile()} is not a file of PostgreSQL; remove it.`,
      })
      expect(await readFile(victim, 'utf8')).toBe(`${bystander}\nkept\n`)
    },
  )
})
