import { afterEach, describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { Overloaded } from '../../../src/lib/overloaded.ts'
import { createOpaModule, type OpaModule, PolicyModuleError } from '../../../src/policy/opa/module.ts'
import type { Log } from '../../../src/telemetry/log.ts'
import { ENTRYPOINTS, moduleFile, write } from './fixture.ts'

const quiet = () => {}
const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
const opened: OpaModule[] = []
const open = (path: string): OpaModule => {
  const module = createOpaModule({ path, log })
  opened.push(module)
  return module
}
afterEach(() => {
  for (const module of opened.splice(0)) module.stop()
})
const DATA = {}
const register = (module: OpaModule, username: string, data: object = DATA) =>
  module.evaluate('register/violation', { username }, data)
const refusal = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'answered',
    (error: unknown) => (error instanceof PolicyModuleError ? error.message : `${error}`),
  )
const PATH = /^policy\.wasm_module: \/\S+\/policy\.wasm /

describe('a module of Open Policy Agent', () => {
  test('answers, again and again', async () => {
    const module = open(await moduleFile())
    for (let i = 0; i < 3; i++) {
      expect(await register(module, 'alice')).toEqual([{ result: [] }])
      expect(await register(module, 'mallory')).toMatchObject([{ result: [{ code: 'username-banned' }] }])
    }
  })

  test('knows its data, and other data once it changes', async () => {
    const module = open(await moduleFile())
    const blocking = { names: ['block-them'] }
    expect(await register(module, 'blocked')).toEqual([{ result: [] }])
    expect(await register(module, 'blocked', blocking)).toMatchObject([{ result: [{}] }])
    expect(await register(module, 'blocked', blocking)).toMatchObject([{ result: [{}] }])
    expect(await register(module, 'blocked', {})).toEqual([{ result: [] }])
  })

  test('that goes round in circles is ended after a second, and others are answered', async () => {
    const module = open(await moduleFile())
    const stuck = refusal(register(module, 'loop'))
    const after = register(module, 'alice')
    expect(await stuck).toMatch(/failed at register\/violation: it took longer than 1 s\.$/)
    expect(await after).toEqual([{ result: [] }])
  })

  test.each(['trap', 'eat'])('that fails (%s) says so, and works the next time', async (username) => {
    const module = open(await moduleFile())
    expect(await refusal(register(module, username))).toMatch(/failed at register\/violation: /)
    expect(await register(module, 'alice')).toEqual([{ result: [] }])
  })

  test('never answers two at once, and refuses when too many wait', async () => {
    const module = open(await moduleFile())
    const asked = Array.from({ length: 120 }, (_, i) =>
      register(module, i % 2 === 0 ? 'alice' : 'mallory').catch((error: unknown) => error),
    )
    const answers = await Promise.all(asked)
    expect(answers.filter((one) => one instanceof Overloaded)).toHaveLength(20)
    answers.slice(0, 100).forEach((answer, i) => {
      expect(answer).toMatchObject([{ result: i % 2 === 0 ? [] : [{ code: 'username-banned' }] }])
    })
  })

  test('ends with stop, and begins again when it is asked', async () => {
    const module = open(await moduleFile())
    await register(module, 'alice')
    module.stop()
    expect(await register(module, 'alice')).toEqual([{ result: [] }])
  })
})

describe('a module that cannot be used is told in one sentence', () => {
  const check = async (path: string) => refusal(open(path).check(ENTRYPOINTS))

  test('a good one passes', async () => {
    expect(await check(await moduleFile())).toBe('answered')
  })

  test('there is no file', async () => {
    expect(await check('/nowhere/policy.wasm')).toBe(
      "policy.wasm_module: /nowhere/policy.wasm can't be used: the file can't be read (ENOENT).",
    )
  })

  test.each<[string, () => Promise<string>]>([
    ['text', () => write('package policy')],
    ['nothing', () => write('')],
    ['half of a module', async () => write((await readFile(await moduleFile())).subarray(0, 200))],
    ['a module of something else', () => write(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))],
    ['an interface of the future', () => moduleFile({ abi: 2 })],
  ])('%s', async (_name, file) => {
    const sentence = await check(await file())
    expect(sentence).toMatch(PATH)
    expect(sentence).toContain("can't be used: ")
    expect(sentence).not.toContain('\n')
  })

  test('an entry point is missing', async () => {
    expect(await check(await moduleFile({ entrypoints: ['register/violation'] }))).toMatch(
      /has no entry point email\/violation; it has register\/violation\.$/,
    )
  })

  test('it calls what we do not have', async () => {
    const builtins = '{"http.send":0,"sprintf":1,"time.now_ns":2}'
    expect(await check(await moduleFile({ builtins }))).toMatch(
      /calls what Latchkey does not provide: http\.send\.$/,
    )
  })
})
