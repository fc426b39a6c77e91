import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  cacheDirectory,
  installSynapse,
  SYNAPSE_VERSION,
} from '../../../src/commands/demo/install-synapse.ts'

let base: string

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'latchkey-install-'))
})

afterAll(async () => {
  await rm(base, { recursive: true, force: true })
})

/** Installs with a `python3` that is this shell script, or with none. */
async function installWith(name: string, script?: string) {
  const bin = join(base, name, 'bin')
  await mkdir(bin, { recursive: true })
  if (script !== undefined) {
    await writeFile(join(bin, 'python3'), `#!/bin/sh\n${script}\n`)
    await chmod(join(bin, 'python3'), 0o755)
  }
  const cacheDir = join(base, name, 'cache')
  const lines: string[] = []
  const result = await installSynapse({ cacheDir, searchPath: bin, log: (line) => lines.push(line) })
  return { cacheDir, lines, result }
}

describe('installSynapse', () => {
  test('without python3: one sentence that says what to install', async () => {
    await expect(installWith('none')).rejects.toThrow(
      /there is no python3 here: install Python 3\.10 or later/,
    )
  })

  test('with an old python3: one sentence that says so', async () => {
    await expect(installWith('old', 'echo "AssertionError: old" >&2; exit 1')).rejects.toThrow(/is older/)
  })

  test('without the venv module: one sentence that names its package', async () => {
    const script = 'echo "ModuleNotFoundError: No module named ensurepip" >&2; exit 1'
    await expect(installWith('no-venv', script)).rejects.toThrow(/apt install python3-venv/)
  })

  test('a failed installation names the reason and leaves nothing behind', async () => {
    // Passes the check, makes an "environment", then fails as pip would.
    const script = `
      [ "$1" = -c ] && exit 0
      [ "$2" = venv ] && { /bin/mkdir -p "$3/bin"; /bin/cp "$0" "$3/bin/python"; exit 0; }
      echo "ERROR: No matching distribution" >&2; exit 1`
    await expect(installWith('failing', script)).rejects.toThrow(
      /network connection.*No matching distribution/s,
    )
    expect(await readdir(join(base, 'failing', 'cache'))).toEqual([])
  })

  test('an installation is kept, and a complete one is not touched', async () => {
    const script = `
      [ "$1" = -c ] && exit 0
      [ "$2" = venv ] && { /bin/mkdir -p "$3/bin"; /bin/cp "$0" "$3/bin/python"; exit 0; }
      echo "Collecting matrix-synapse"`
    const { cacheDir, result, lines } = await installWith('working', script)
    expect(result).toEqual({
      python: join(cacheDir, `synapse-${SYNAPSE_VERSION}`, 'bin', 'python'),
      version: SYNAPSE_VERSION,
    })
    expect(await readdir(cacheDir)).toEqual([`synapse-${SYNAPSE_VERSION}`])
    expect(lines.length).toBeGreaterThan(0)
    const again = await installWith('working')
    expect(again.result).toEqual(result)
    expect(again.lines).toEqual([])
  })
})

describe('cacheDirectory', () => {
  test('follows XDG_CACHE_HOME, else ~/.cache', () => {
    expect(cacheDirectory({ XDG_CACHE_HOME: '/var/cache/me' })).toBe('/var/cache/me/latchkey')
    expect(cacheDirectory({ XDG_CACHE_HOME: '' })).toMatch(/\/\.cache\/latchkey$/)
  })
})
