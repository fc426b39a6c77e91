/** `-c FILE`, which may stand several times. */
export const configFlag = {
  kind: 'parsed',
  parse: String,
  brief: 'Configuration file; several are merged in their order',
  optional: true,
  variadic: true,
  placeholder: 'file',
} as const

/** For commands that take nothing but a configuration. */
export const configOnly = { flags: { config: configFlag }, aliases: { c: 'config' } } as const

export interface ConfigOnly {
  config?: readonly string[]
}
