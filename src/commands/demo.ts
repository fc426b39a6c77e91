import { messageOf } from '../lib/thrown.ts'
import { CommandError, type Context, say } from './context.ts'
import { runDemo } from './demo/demo.ts'
import { cacheDirectory } from './demo/install-synapse.ts'

/** `latchkey demo`. */
export default async function demo(this: Context, flags: { directory: string }): Promise<void> {
  try {
    await runDemo({
      directory: flags.directory,
      cacheDir: cacheDirectory({ ...this.env }),
      log: (line) => say(this, line),
      signal: this.signal,
    })
  } catch (cause) {
    // Its errors are sentences for the person who started it.
    throw new CommandError(messageOf(cause), { cause })
  }
}
