import { parse } from 'yaml'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { ConfigError } from '../../src/config/report.ts'
import type { Config } from '../../src/config/schema.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
export const decode = (data: Uint8Array | undefined) =>
  data === undefined ? undefined : new TextDecoder().decode(data)

export const PEM = '-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n'

/** Files from a record; a name that is not in it does not exist. */
export const filesFrom = (contents: Record<string, string>) => ({
  readFile: async (path: string) => {
    const text = contents[path]
    if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
    return bytes(text)
  },
  readDir: async (path: string) => {
    const names = Object.keys(contents)
      .filter((name) => name.startsWith(`${path}/`))
      .map((name) => name.slice(path.length + 1))
    if (names.length === 0) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
    return names
  },
})

/** The least that is valid. */
export const MINIMAL = `
matrix: { kind: standalone, homeserver: example.test, secret: shared }
secrets: { encryption: "${'0123456789abcdef'.repeat(4)}", keys: [{ key: "${PEM.replaceAll('\n', '\\n')}" }] }
`

/** Parses YAML as the content of config.yaml. */
export const parseText = (text: string, files: Record<string, string> = {}) =>
  parseConfig(parse(text), { source: 'config.yaml', ...filesFrom(files) })

/** Parses MINIMAL with more sections below it. */
export const withMinimal = (text: string, files: Record<string, string> = {}) =>
  parseConfig({ ...parse(MINIMAL), ...parse(text) }, { source: 'config.yaml', ...filesFrom(files) })

/** Loads from files and variables. */
export const load = (
  files: Record<string, string>,
  env: Record<string, string> = {},
  named?: string[],
): Promise<{ config: Config; warnings: string[]; files: string[] }> =>
  loadConfig({ env, ...filesFrom(files), ...(named === undefined ? {} : { files: named }) })

/** The problems that a promise is rejected with; fails when it is not rejected with a ConfigError. */
export async function problemsOf(promise: Promise<unknown>): Promise<readonly string[]> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (outcome instanceof ConfigError) return outcome.problems
  throw new Error(`expected a ConfigError, got ${String(outcome)}`)
}
