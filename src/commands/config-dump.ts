import { dumpConfig } from '../config/dump.ts'
import type { Context } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'
import { writeSecretFile } from './write-secret-file.ts'

/** `latchkey config dump`: what files and variables say together. */
export default async function dump(
  this: Context,
  flags: ConfigOnly & { output?: string; showSecrets?: boolean },
): Promise<void> {
  const { input } = await load(this, flags.config)
  const text = dumpConfig(input, { showSecrets: flags.showSecrets ?? false })
  if (flags.output === undefined) return void this.process.stdout.write(text)
  await writeSecretFile(flags.output, text)
}
