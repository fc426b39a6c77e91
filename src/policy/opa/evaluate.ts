/** The worker that holds the module, instantiated once. */

import { readFile } from 'node:fs/promises'
import { type LoadedPolicy, loadPolicy } from '@open-policy-agent/opa-wasm'
import { codeOf, messageOf } from '../../lib/thrown.ts'
import { BUILTINS, missingBuiltins } from './builtins.ts'
import type { Answer, Question } from './messages.ts'

/** Pages of 64 KiB: 16 MiB to begin with (untouched ones cost nothing), and at most 128 MiB. */
const MEMORY = { initial: 256, maximum: 2048 }

let policy: LoadedPolicy | undefined

const answer = (message: Answer) => postMessage(message)

/** The library throws errors, texts, and objects with a message. */
const reasonOf = (thrown: unknown): string =>
  typeof thrown === 'object' && thrown !== null && 'message' in thrown
    ? String(thrown.message)
    : messageOf(thrown)

async function load(path: string): Promise<void> {
  try {
    policy = await loadPolicy(await readFile(path), { ...MEMORY }, BUILTINS)
    answer({ loaded: true, entrypoints: Object.keys(policy.entrypoints), missing: missingBuiltins(policy) })
  } catch (error) {
    const code = codeOf(error)
    answer({ loaded: false, error: code ? `the file can't be read (${code})` : reasonOf(error) })
  }
}

function evaluate({ id, entrypoint, input, data }: Question): void {
  try {
    if (!policy) throw new Error('the module is not loaded')
    if (data !== undefined) policy.setData(data as object)
    answer({ id, result: policy.evaluate(input, entrypoint) })
  } catch (error) {
    answer({ id, error: reasonOf(error) })
  }
}

addEventListener('message', ({ data }: MessageEvent<Question | { path: string }>) => {
  if ('path' in data) void load(data.path)
  else evaluate(data)
})
