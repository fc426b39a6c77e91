/** `-c FILE`, which may stand several times. */
export const configFlag = {
  kind: 'parsed',
  parse: String,
  brief: 'Configuration file; several are merged in their order',
  optional: true,
  variadic: true,
  placeholder: 'file',
} as const

/** Parameters that nearly every command has. */
export const shared = { config: configFlag } as const
export const aliases = { c: 'config' } as const

/** For commands that take nothing but a configuration. */
export const configOnly = { flags: shared, aliases } as const

/** An optional flag with a text. */
export const text = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: String, brief, placeholder, optional: true }) as const

/** An optional flag without a value. */
export const flag = (brief: string) =>
  ({ kind: 'boolean', brief, optional: true, withNegated: false }) as const

export const json = flag('Print JSON, for scripts')

export interface ConfigOnly {
  config?: readonly string[]
}
