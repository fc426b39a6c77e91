import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemClock } from '../lib/clock.ts'
import { messageOf } from '../lib/thrown.ts'
import { createAssets } from '../render/assets.ts'
import { templateFault } from '../render/overlay.ts'
import { type MessageFinding, ownMessageFindings } from '../render/own-messages.ts'
import { type RenderedSample, renderSamples } from '../render/render-samples.ts'
import { createTexts } from '../render/texts.ts'
import { CommandError, type Context, say } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'

/**
 * `latchkey templates check`: every page and mail in every state and language, with the operator's own templates and
 * messages; names each fault with its file and line. With `--out-dir` what was rendered is written there.
 */
export async function checkTemplatesCommand(
  this: Context,
  flags: ConfigOnly & { outDir?: string; stabilise?: boolean },
): Promise<void> {
  const { config } = await load(this, flags.config)
  const { views, translate, staticFolders } = createTexts(config.templates)
  const { overlay_path: overlay, translations_overlay_path: texts } = config.templates
  const findings = texts === undefined ? [] : findingsIn(texts, overlay)
  const asset = flags.stabilise ? (name: string) => `/assets/${name}` : createAssets(staticFolders, '/').url
  const faults = new Map<string, string[]>()
  let count = 0
  const options = {
    languages: translate.names,
    asset,
    ...(!flags.stabilise && { now: systemClock.now().toISOString() }),
  }
  for (const sample of renderSamples(views, options)) {
    count++
    if (flags.outDir !== undefined) await write(flags.outDir, sample)
    if (sample.fault === undefined || isOfText(sample.fault, findings)) continue
    const sentence = faultOf(overlay, sample)
    faults.set(sentence, [...(faults.get(sentence) ?? []), `${sample.lang} “${sample.label}”`])
  }
  const strays = strayFiles(overlay, views.templates)
  for (const [sentence, where] of faults)
    say(this, `${sentence}. Seen in ${where[0]}${where.length > 1 ? ` and ${where.length - 1} more` : ''}.`)
  for (const file of strays)
    say(this, `Warning: ${file} has the name of no page and no mail: nothing uses it.`)
  for (const { fault, sentence } of findings) say(this, `${fault ? '' : 'Warning: '}${sentence}.`)
  const wrong = faults.size + findings.filter(({ fault }) => fault).length
  if (wrong > 0) throw new CommandError(`${wrong} faults in ${count} pages and mails.`)
  say(this, `${count} pages and mails in ${translate.names.length} languages: all good.`)
}

async function write(
  directory: string,
  { template, label, lang, parts = {} }: RenderedSample,
): Promise<void> {
  for (const [ending, text] of Object.entries(parts)) {
    const path = join(directory, lang, `${template}.${label.replaceAll(/[^\p{L}\p{N}]+/gu, '-')}.${ending}`)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
  }
}

/** What is to be said of the operator's texts; their own templates may use texts of their own. */
function findingsIn(directory: string, overlay: string | undefined): MessageFinding[] {
  const templates = (overlay === undefined ? [] : overlayFiles(overlay)).map((file) =>
    readFileSync(join(overlay ?? '', file), 'utf8'),
  )
  const isUsed = (key: string) => templates.some((template) => template.includes(key))
  const { languages, english } = createTexts({}).translate
  return ownMessageFindings(directory, { languages, english }, isUsed)
}

/** Whether a page failed over a text that is among the findings: its line is said there. */
function isOfText(fault: unknown, findings: readonly MessageFinding[]): boolean {
  const [, name] = /context variable "(\w+)" was not provided/.exec(messageOf(fault)) ?? []
  return (
    name !== undefined && findings.some((finding) => finding.fault && finding.sentence.includes(`{${name}}`))
  )
}

/** Which file and line a fault is in. What the engine does not place is looked for: the key of a missing message. */
function faultOf(overlay: string | undefined, { template, fault }: RenderedSample): string {
  const said = messageOf(fault)
  const [, file, line] = /\(in ([^()]+):(\d+)\)/.exec(said.split('\n')[0] ?? '') ?? []
  if (overlay !== undefined && file !== undefined && existsSync(join(overlay, file)))
    return templateFault(overlay, fault)
  if (file !== undefined) return `${file} (ours), line ${line}: ${said.split('\n')[0]}`
  const key = /^No message (\S+) in the catalogues/.exec(said)?.[1]
  const place = key === undefined || overlay === undefined ? undefined : placeOf(overlay, key)
  return place === undefined ? `${template}: ${said}` : `${place}: ${said}`
}

/** The first file of the overlay that has a text, and the line. */
function placeOf(overlay: string, text: string): string | undefined {
  for (const file of overlayFiles(overlay)) {
    const lines = readFileSync(join(overlay, file), 'utf8').split('\n')
    const at = lines.findIndex((line) => line.includes(text))
    if (at >= 0) return `${overlay}/${file}, line ${at + 1}`
  }
  return undefined
}

/** Files of the overlay that are templates by their place and are not read, or are a page or a mail that there is not. */
function strayFiles(overlay: string | undefined, read: readonly string[]): string[] {
  if (overlay === undefined) return []
  const ours = new Set(createTexts({}).views.templates)
  return overlayFiles(overlay)
    .filter((file) => !read.includes(file) || (/^(pages|emails)\//.test(file) && !ours.has(file)))
    .map((file) => `${overlay}/${file}`)
}

const overlayFiles = (overlay: string): string[] =>
  ['layouts', 'partials', 'pages', 'emails'].flatMap((folder) => {
    const path = join(overlay, folder)
    if (!existsSync(path)) return []
    return readdirSync(path).map((file) => `${folder}/${file}`)
  })
