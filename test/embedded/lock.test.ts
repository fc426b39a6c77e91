import { afterAll, beforeAll, expect, test } from 'bun:test'
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tryLock } from '../../src/embedded/lock.ts'

let home = ''
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'latchkey-lock-'))
})
afterAll(() => rm(home, { recursive: true, force: true }))

test('nobody else may read the file, since who may read it may lock it', async () => {
  const path = join(home, 'owner.lock')
  const mode = async () => ((await stat(path)).mode & 0o777).toString(8)
  tryLock(path)?.release()
  expect(await mode()).toBe('600')
  await chmod(path, 0o644)
  tryLock(path)?.release()
  expect(await mode()).toBe('600')
})

test('a second try in the same process fails, and does not free the lock', () => {
  const path = join(home, 'twice.lock')
  const lock = tryLock(path)
  expect(lock).toBeDefined()
  expect(tryLock(path)).toBeUndefined()
  const script = `
    import { tryLock } from ${JSON.stringify(join(import.meta.dirname, '../../src/embedded/lock.ts'))}
    process.exit(tryLock(${JSON.stringify(path)}) ? 1 : 0)`
  expect(Bun.spawnSync([process.execPath, '-e', script]).exitCode).toBe(0)
  lock?.release()
  expect(Bun.spawnSync([process.execPath, '-e', script]).exitCode).toBe(1)
})
