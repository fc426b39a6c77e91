import { configJsonSchema } from '../config/json-schema.ts'
import type { Config } from '../config/schema.ts'
import { tlsMaterial } from '../crypto/certificates.ts'
import { loadKeystore } from '../crypto/keystore.ts'
import { createPasswords } from '../crypto/passwords.ts'
import { OverlayError, templateFault } from '../render/overlay.ts'
import { createTexts } from '../render/texts.ts'
import { CommandError, type Context, say } from './context.ts'
import { printFinding } from './doctor/print.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'
import { checkPolicyModule } from './policy-module.ts'

/** `latchkey config check`: problems are thrown, warnings printed; with `--deep` everything is tried that it names. */
export async function checkCommand(
  this: Context,
  flags: ConfigOnly & { deep?: boolean; json?: boolean },
): Promise<void> {
  const loaded = await load(this, flags.config)
  const { config, files } = loaded
  const keys = await loadKeystore(config.secrets.keys)
  createPasswords(config.passwords)
  await checkTexts(config.templates)
  await checkPolicyModule(config.policy)
  for (const [index, { tls }] of config.http.listeners.entries())
    if (tls) tlsMaterial(tls, `http.listeners.${index}.tls`)
  const warnings = [...loaded.warnings, ...keys.warnings]
  const findings = flags.deep ? await (await import('./deep-check.ts')).deepCheck(this, loaded) : []
  const failed = findings.filter(({ verdict }) => verdict === 'failed')
  if (flags.json) say(this, JSON.stringify({ files, warnings, findings }))
  else {
    for (const warning of warnings) say(this, `Warning: ${warning}`)
    for (const finding of findings) say(this, printFinding(finding))
    if (failed.length === 0)
      say(this, `The configuration can be used: ${files.join(', ') || 'all from the environment'}.`)
  }
  if (failed.length > 0) {
    const names = [...new Set(failed.map(({ check }) => check))].join(', ')
    throw new CommandError(`${failed.length} of ${findings.length} checks failed: ${names}.`)
  }
}

/**
 * Reads the operator's own pages and texts, and shows each page and mail in English (`templates check` in every language): what a template includes or names is looked for
 * only then.
 *
 * @throws OverlayError
 */
async function checkTexts(templates: Config['templates']): Promise<void> {
  const { views, translate } = createTexts(templates)
  const { overlay_path: overlay } = templates
  if (overlay === undefined) return
  const { renderSamples } = await import('../render/render-samples.ts')
  const languages = translate.names.filter(({ tag }) => tag === 'en')
  for (const { fault } of renderSamples(views, { languages, asset: (file) => `/assets/${file}` }))
    if (fault !== undefined)
      throw new OverlayError(`templates.overlay_path: ${templateFault(overlay, fault)}.`, { cause: fault })
}

/** `latchkey config schema`. */
export async function schemaCommand(this: Context): Promise<void> {
  say(this, JSON.stringify(configJsonSchema(), null, 2))
}
