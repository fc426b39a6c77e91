import { dirname, join } from 'node:path'
import { diskFiles } from '../config/files.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { Context } from './context.ts'

/** A configuration and where it came from. */
export interface Loaded {
  config: Config
  warnings: string[]
  files: string[]
  /** What files and variables say together, before defaults and secret files. */
  input: Readonly<Record<string, unknown>>
}

/** The configuration of `--config`, else of the environment, else of the usual files. @throws ConfigError */
export const load = (context: Context, files: readonly string[] | undefined): Promise<Loaded> =>
  loadConfig({ ...diskFiles, env: { ...context.env }, ...(files && files.length > 0 && { files }) })

/** The folder of the embedded database: beside the (first) configuration file. */
export const embeddedFolder = ({ files }: Pick<Loaded, 'files'>): string =>
  join(files[0] === undefined ? 'data' : dirname(files[0]), 'postgres')
