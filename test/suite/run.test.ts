import { expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

/** Runs test files with these texts as `.ci/run` runs all of them; what it printed, and its exit status. */
async function suite(files: Record<string, string>): Promise<{ printed: string; status: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-suite-'))
  try {
    for (const [name, text] of Object.entries(files))
      await Bun.write(
        join(folder, `${name}.test.ts`),
        `import { beforeAll, expect, test } from 'bun:test'\nimport { existsSync, writeFileSync } from 'node:fs'\n${text}`,
      )
    const child = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dirname, 'run.ts'),
        '300',
        ...Object.keys(files).map((name) => join(folder, `${name}.test.ts`)),
      ],
      { stdout: 'pipe', stderr: 'inherit', env: { ...process.env, NO_COLOR: '1' } },
    )
    const printed = await new Response(child.stdout).text()
    return {
      printed: printed.replaceAll(new RegExp(`\\S*${basename(folder)}/`, 'g'), ''),
      status: await child.exited,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A test that fails the first time that it runs. */
const ONCE = `
test('settled', () => {})
test('shaky', () => {
  const mark = import.meta.path + '.ran'
  if (existsSync(mark)) return
  writeFileSync(mark, '')
  throw new Error('the reason of the first time')
})`
const GOOD = `test('good', () => {})`

test('a file that fails once is unstable: its tests are passed, once each, and the reason is told', async () => {
  const { printed, status } = await suite({ good: GOOD, once: ONCE })
  expect(status).toBe(0)
  expect(printed).toEndWith('unstable: once.test.ts\n3 passed, 0 failed\n')
  const [, section = ''] = printed.split('== unstable: ')
  expect(section).toContain('the reason of the first time')
  expect(printed).not.toContain('== failed')
})

test('a file that fails always has failed, and is not called unstable', async () => {
  const { printed, status } = await suite({
    always: `${GOOD}\ntest('bad', () => expect(1).toBe(2))`,
    setup: `beforeAll(() => { throw new Error('no setup') })\n${GOOD}`,
    load: `throw new Error('not even loaded')`,
  })
  expect(status).toBe(1)
  expect(printed).toEndWith('\n1 passed, 3 failed\n')
  expect(printed).not.toContain('unstable')
  for (const name of ['always', 'setup', 'load']) expect(printed).toContain(`== failed: ${name}.test.ts`)
})

test('a file that ends the process is a failure, and the files after it still run', async () => {
  const { printed, status } = await suite({
    before: GOOD,
    crash: `${GOOD}\ntest('crash', () => process.kill(process.pid, 'SIGKILL'))`,
    leaves: `test('leaves', () => process.exit(0))`,
    later: GOOD,
  })
  expect(status).toBe(1)
  expect(printed).toEndWith('\n3 passed, 2 failed\n')
  expect(printed).toContain('FAILED: crash.test.ts ended the process')
  expect(printed).toContain('FAILED: leaves.test.ts ended the process')
})

test('more than three failed files are no accident: nothing is run again', async () => {
  const bad = `test('bad', () => { throw new Error('bad') })`
  const { printed, status } = await suite({ once: ONCE, a: bad, b: bad, c: bad })
  expect(status).toBe(1)
  expect(printed).toEndWith('\n1 passed, 4 failed\n')
  expect(printed).not.toContain('== again')
})

test('a long run, which names its failures once more at its end, counts them once and for their own file', async () => {
  const many = `for (let at = 0; at < 60; at++) test('number ' + at, () => {})`
  const { printed } = await suite({
    bad: `test.skip('left out', () => {})\ntest('bad', () => { throw new Error('bad') })`,
    many,
  })
  expect(printed).toContain('1 tests failed:')
  expect(printed).toEndWith(
    'units: 2 files, 60 passed, 1 failed, 1 skipped, 0 s of CPU\n60 passed, 1 failed\n',
  )
  expect(printed).not.toContain('== failed: many.test.ts')
})
