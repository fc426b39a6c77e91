import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Stack, startStack } from '../../src/commands/demo/demo.ts'
import { cacheDirectory } from '../../src/commands/demo/install-synapse.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { NO_LIMITS } from '../support/limits.ts'
import { reservePort } from '../support/ports.ts'

const CONFIG: ConfigInput = {
  // The shipped rules, where the demo relaxes them for clients that are being developed.
  policy: {},
  rate_limiting: { login: NO_LIMITS.login, registration: NO_LIMITS.registration },
}

/**
 * A fresh deployment: Synapse, `latchkey server` with its embedded database, and the web server before
 * them. `config` replaces sections of the configuration, `appServices` are registrations for Synapse.
 */
export async function startTestStack(
  config: ConfigInput = {},
  appServices: readonly object[] = [],
): Promise<Stack> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-e2e-'))
  // As root the database runs under another account: one that can't pass through would move to /var/lib/latchkey.
  await chmod(directory, 0o711)
  const remove = () => rm(directory, { recursive: true, force: true })
  const log = (line: string) => console.log(line)
  try {
    const registrations = appServices.map((_, index) => join(directory, `bridge-${index}.yaml`))
    // JSON is YAML.
    for (const [index, path] of registrations.entries())
      await Bun.write(path, JSON.stringify(appServices[index]))
    const stack = await startStack({
      directory,
      cacheDir: cacheDirectory(process.env),
      log,
      ports: { latchkey: await reservePort(), synapse: await reservePort(), front: await reservePort() },
      config: { ...CONFIG, ...config },
      appServices: registrations,
    })
    return {
      ...stack,
      async stop() {
        await stack.stop()
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw error
  }
}
