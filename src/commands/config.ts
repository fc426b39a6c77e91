import { writeFile } from 'node:fs/promises'
import { generateConfig } from '../config/generate.ts'
import { configJsonSchema } from '../config/json-schema.ts'
import type { Config } from '../config/schema.ts'
import { ownModule } from '../config/shipped.ts'
import { tlsMaterial } from '../crypto/certificates.ts'
import { generateSigningKeys, loadKeystore } from '../crypto/keystore.ts'
import { createPasswords } from '../crypto/passwords.ts'
import { systemRandom } from '../lib/random.ts'
import { codeOf } from '../lib/thrown.ts'
import { createOpaModule } from '../policy/opa/module.ts'
import { entrypointsOf } from '../policy/opa/module-policy.ts'
import { OverlayError, templateFault } from '../render/overlay.ts'
import { createTexts } from '../render/texts.ts'
import { createLog } from '../telemetry/log.ts'
import { CommandError, type Context, say } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'

/** `latchkey config check`: problems are thrown, warnings printed. */
export async function checkCommand(this: Context, flags: ConfigOnly): Promise<void> {
  const { config, warnings, files } = await load(this, flags.config)
  const keys = await loadKeystore(config.secrets.keys)
  createPasswords(config.passwords)
  await checkTexts(config.templates)
  await checkPolicyModule(config.policy)
  for (const [index, { tls }] of config.http.listeners.entries())
    if (tls) tlsMaterial(tls, `http.listeners.${index}.tls`)
  for (const warning of [...warnings, ...keys.warnings]) say(this, `Warning: ${warning}`)
  say(this, `The configuration can be used: ${files.join(', ') || 'all from the environment'}.`)
}

/**
 * Reads the operator's own pages and texts, and shows each page once: what a template includes or names is looked for
 * only then.
 *
 * @throws OverlayError
 */
async function checkTexts(templates: Config['templates']): Promise<void> {
  const { views } = createTexts(templates)
  const { overlay_path: overlay } = templates
  if (overlay === undefined) return
  const { renderSamples } = await import('../render/render-samples.ts')
  const fault = renderSamples(views)
  if (fault !== undefined)
    throw new OverlayError(`templates.overlay_path: ${templateFault(overlay, fault)}.`, { cause: fault })
}

/** Loads the operator's own module, if there is one. @throws PolicyModuleError */
async function checkPolicyModule(policy: Config['policy']): Promise<void> {
  const path = ownModule(policy)
  if (path === undefined) return
  const module = createOpaModule({ path, log: createLog({ json: false, level: 'error' }) })
  try {
    await module.check(Object.values(entrypointsOf(policy)))
  } finally {
    module.stop()
  }
}

/** The text of a new configuration. */
export async function newConfig(homeserver: string | undefined): Promise<string> {
  const keys = await generateSigningKeys()
  return generateConfig({
    random: systemRandom,
    signingKeyPem: keys.map(({ pem }) => pem),
    ...(homeserver !== undefined && { homeserver }),
  })
}

/** `latchkey config generate`. */
export async function generateCommand(
  this: Context,
  flags: { output?: string; homeserver?: string },
): Promise<void> {
  const text = await newConfig(flags.homeserver)
  if (flags.output === undefined) return this.process.stdout.write(text)
  try {
    await writeFile(flags.output, text, { mode: 0o600, flag: 'wx' })
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') throw cause
    throw new CommandError(
      `${flags.output} exists already, and its secrets may be in use; name another file.`,
      {
        cause,
      },
    )
  }
  say(this, `Wrote ${flags.output}. Only you can read it; start with: latchkey server -c ${flags.output}`)
}

/** `latchkey config schema`. */
export async function schemaCommand(this: Context): Promise<void> {
  say(this, JSON.stringify(configJsonSchema(), null, 2))
}
