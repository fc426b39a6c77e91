import { fileURLToPath } from 'node:url'
import type { Deps } from '../deps.ts'
import { registrationEnabled } from '../policy/register.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SOURCE = fileURLToPath(new URL('../../views/static-src/strength.ts', import.meta.url))

/**
 * Builds the script of the strength meter and adds it to the static files, where a page needs it. In a process of its
 * own, so that the memory of the bundler goes with it; it takes some 20 ms, so the result is not kept on disk, where
 * somebody else could change what every page runs. Without it there is no meter, and nothing else changes.
 */
export async function addStrengthScript(deps: Pick<Deps, 'config' | 'assets' | 'log'>): Promise<void> {
  if (!registrationEnabled(deps.config)) return
  const child = Bun.spawn([process.execPath, 'build', '--minify', '--target=browser', SOURCE], {
    cwd: ROOT,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [script, problem] = await Promise.all([
    new Response(child.stdout).arrayBuffer(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) === 0) deps.assets.add('strength.js', new Uint8Array(script))
  else deps.log.warn('strength_meter.not_built', { reason: problem.slice(0, 500) })
}
