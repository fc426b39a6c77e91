import type { LoadedPolicy } from '@open-policy-agent/opa-wasm'
import { systemClock } from '../../lib/clock.ts'

/** Functions of Rego that neither a module nor the library brings along. */
export const BUILTINS: Record<string, (text: string) => unknown> = {
  'time.now_ns': () => systemClock.now().getTime() * 1_000_000,
  'time.parse_rfc3339_ns': (text) => new Date(text).getTime() * 1_000_000,
  'urlquery.encode': (text) => encodeURIComponent(text).replaceAll('%20', '+'),
  'urlquery.decode': (text) => decodeURIComponent(text.replaceAll('+', ' ')),
}

/** Those of the library. */
const LIBRARY = ['sprintf', 'json.is_valid', 'regex.split', 'yaml.is_valid', 'yaml.marshal', 'yaml.unmarshal']

/** Functions that a module calls and nobody provides: it would fail where it calls them, and perhaps not today. */
export function missingBuiltins({ wasmInstance, mem }: LoadedPolicy): string[] {
  const { builtins, opa_json_dump: dump } = (wasmInstance as WebAssembly.Instance).exports
  if (typeof builtins !== 'function' || typeof dump !== 'function') return []
  const bytes = new Uint8Array(mem.buffer)
  const start: number = dump(builtins())
  const text = new TextDecoder().decode(bytes.subarray(start, bytes.indexOf(0, start)))
  return Object.keys(JSON.parse(text)).filter(
    (name) => !LIBRARY.includes(name) && !Object.hasOwn(BUILTINS, name),
  )
}
