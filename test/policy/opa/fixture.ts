import { afterAll } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import wabt from 'wabt'

/** The entry points that the configuration names by default. */
export const ENTRYPOINTS = [
  'register/violation',
  'email/violation',
  'client_registration/violation',
  'authorization_grant/violation',
  'compat_login/violation',
]

const NO_VIOLATION = '[{"result":[]}]'

/** What the module below does when its input has this text. `loop`, `trap` and `eat` do what their names say. */
const ANSWERS: Record<string, string | { data: string; say: string } | 'loop' | 'trap' | 'eat'> = {
  '"username":"mallory"':
    '[{"result":[{"code":"username-banned","field":"username","msg":"No mallory here."}]}]',
  '"username":"tuesday"': '[{"result":[{"field":"username","msg":"Not on a Tuesday."}]}]',
  '"username":"blocked"': { data: 'block-them', say: '[{"result":[{"msg":"Blocked by data."}]}]' },
  '"username":"wants-mail","requester"': '[{"result":[{"field":"email","msg":"An address, please."}]}]',
  '"username":"both","email":"both@example.org"':
    '[{"result":[{"field":"email","msg":"Not both the same."}]}]',
  '"username":"silent"': '[]',
  '"username":"nonsense"': '[{"result":[{"msg":7}]}]',
  '"username":"loop"': 'loop',
  '"username":"trap"': 'trap',
  '"username":"eat"': 'eat',
  '"client_name":"Evil"': '[{"result":[{"msg":"redirect_uri is not welcome"}]}]',
  '"scope":"openid urn:forbidden"': '[{"result":[{"msg":"That scope is forbidden."}]}]',
}

/**
 * A module of Open Policy Agent, made by hand: its values are the JSON texts themselves, and it looks for texts in its
 * input. It keeps to the interface, version 1.2, that `opa build -t wasm` compiles to.
 */
export async function moduleFile(
  options: { entrypoints?: readonly string[]; builtins?: string; abi?: number } = {},
): Promise<string> {
  const { entrypoints = ENTRYPOINTS, builtins = '{}', abi = 1 } = options
  const chunks: string[] = []
  let next = 1024
  /** Puts a text into the memory of the module; gives its address and length. */
  const put = (text: string): [number, number] => {
    const at = next
    const bytes = new TextEncoder().encode(text)
    const escaped = [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('')
    chunks.push(`(data (i32.const ${at}) "${escaped}\\00")`)
    next += bytes.length + 1
    return [at, bytes.length]
  }
  const [builtinsAt] = put(builtins)
  const [entrypointsAt] = put(JSON.stringify(Object.fromEntries(entrypoints.map((name, id) => [name, id]))))
  const [allowed] = put(NO_VIOLATION)
  const has = (address: string, end: string, text: string) =>
    `(call $contains ${address} ${end} ${put(text)
      .map((n) => `(i32.const ${n})`)
      .join(' ')})`
  const inInput = (text: string) =>
    has('(local.get $input)', '(i32.add (local.get $input) (local.get $len))', text)
  const inData = (text: string) =>
    has('(local.get $data)', '(i32.add (local.get $data) (i32.const 4096))', text)
  const say = (text: string) => `(return (i32.const ${put(text)[0]}))`
  const act = (answer: (typeof ANSWERS)[string]): string => {
    if (answer === 'loop') return '(loop $for_ever (br $for_ever))'
    if (answer === 'trap') return 'unreachable'
    if (answer === 'eat')
      return '(loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable'
    if (typeof answer === 'object') return `(if ${inData(answer.data)} (then ${say(answer.say)}))`
    return say(answer)
  }
  const cases = Object.entries(ANSWERS).map(([text, answer]) => `(if ${inInput(text)} (then ${act(answer)}))`)
  const source = `(module
    (import "env" "memory" (memory 1))
    (import "env" "opa_abort" (func $abort (param i32)))
    (global $heap (mut i32) (i32.const 32768))
    (global (export "opa_wasm_abi_version") i32 (i32.const ${abi}))
    (global (export "opa_wasm_abi_minor_version") i32 (i32.const 2))
    (func $contains (param $at i32) (param $end i32) (param $text i32) (param $size i32) (result i32)
      (local $i i32)
      (block $none
        (loop $start
          (br_if $none (i32.gt_s (i32.add (local.get $at) (local.get $size)) (local.get $end)))
          (local.set $i (i32.const 0))
          (block $differs
            (loop $compare
              (if (i32.eq (local.get $i) (local.get $size)) (then (return (i32.const 1))))
              (br_if $differs (i32.ne
                (i32.load8_u (i32.add (local.get $at) (local.get $i)))
                (i32.load8_u (i32.add (local.get $text) (local.get $i)))))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br $compare)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $start)))
      (i32.const 0))
    (func $malloc (export "opa_malloc") (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $heap))
      (global.set $heap (i32.add (local.get $at) (i32.add (local.get $size) (i32.const 1))))
      (local.get $at))
    (func (export "opa_json_parse") (param $at i32) (param $size i32) (result i32)
      (i32.store8 (i32.add (local.get $at) (local.get $size)) (i32.const 0))
      (local.get $at))
    (func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
    (func (export "opa_heap_ptr_get") (result i32) (global.get $heap))
    (func (export "opa_heap_ptr_set") (param i32) (global.set $heap (local.get 0)))
    (func (export "builtins") (result i32) (i32.const ${builtinsAt}))
    (func (export "entrypoints") (result i32) (i32.const ${entrypointsAt}))
    (func (export "opa_eval")
      (param i32) (param $entrypoint i32) (param $data i32) (param $input i32) (param $len i32) (param i32) (param i32)
      (result i32)
      ${cases.join('\n')}
      (i32.const ${allowed}))
    ${chunks.join('\n')})`
  const { parseWat } = await wabt()
  const { buffer } = parseWat('policy.wat', source).toBinary({})
  return write(buffer)
}

const folder = mkdtempSync(join(tmpdir(), 'latchkey-policy-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** A file with these bytes, which is gone when the tests end. */
export async function write(bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, `${++files}`, 'policy.wasm')
  await Bun.write(path, bytes)
  return path
}
