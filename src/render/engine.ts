// node:fs and not Bun.file: templates are read once, synchronously, before the first page is asked for.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Environment } from 'minijinja-js'
import { messageOf } from '../lib/thrown.ts'
import type { BaseContext, Contexts, PageName } from './contexts.ts'
import type { MailBase, MailContexts, MailName, RenderedMail } from './contexts-mail.ts'
import { templateFunctions } from './functions.ts'
import { OverlayError, requireDirectory, templateFault } from './overlay.ts'
import type { Translate } from './translate.ts'

/** Makes pages and mails. */
export interface Views {
  /** The HTML of page `name`; throws for a template that is broken (an undefined variable, a missing message). */
  page<P extends PageName>(name: P, context: Contexts[P], base: BaseContext): string
  /** Subject, text and HTML of mail `name`; throws likewise. */
  mail<M extends MailName>(name: M, context: MailContexts[M], base: MailBase): RenderedMail
  /** Names of all templates that were read, for example `pages/login.html`. */
  templates: readonly string[]
}

export interface ViewOptions {
  /** The `views` directory; its `layouts`, `partials`, `pages` and `emails` are read. */
  directory: string
  /** The operator's directory of the same shape: a file there stands in for ours of the same name. */
  overlay?: string
  translate: Translate
  /** Where a network address is, in a language. */
  placeOf?: (ip: string, lang: string) => string | undefined
}

/** Folders of templates, and the endings of their files. Only what ends in `.html` is escaped. */
const FOLDERS = {
  layouts: ['.html', '.txt'],
  partials: ['.html'],
  pages: ['.html'],
  emails: ['.html', '.txt', '.subject'],
} as const

/** Instructions that one page may take: bounds a template that loops. The account page takes 150 a session. */
const FUEL = 1_000_000

/**
 * Reads and compiles all templates, so that a broken one stops the start and not a visitor. Escaping is on (the names
 * end in `.html`), undefined variables are errors, and templates can reach nothing but their context.
 *
 * @throws OverlayError the overlay cannot be read, or a template of it is broken
 */
export function createViews({ directory, overlay, translate, placeOf }: ViewOptions): Views {
  if (overlay !== undefined) requireDirectory('templates.overlay_path', overlay)
  const sources = new Map<string, { root: string; source: string }>()
  for (const root of overlay === undefined ? [directory] : [directory, overlay]) {
    for (const [name, source] of readTemplates(root)) sources.set(name, { root, source })
  }

  // What the functions below read while a page renders. Rendering is synchronous, so there is one at a time.
  let current: BaseContext | undefined
  let failure: unknown

  /** A throw inside a callback would break the WebAssembly instance for good: it is kept and thrown afterwards. */
  const guarded =
    (call: (base: BaseContext, ...args: unknown[]) => unknown) =>
    (...args: unknown[]): unknown => {
      try {
        if (!current) throw new Error('A template function was called while nothing renders')
        return call(current, ...args)
      } catch (error) {
        failure ??= error
        return ''
      }
    }

  const build = (): Environment => {
    const environment = new Environment()
    environment.undefinedBehavior = 'strict'
    environment.fuel = FUEL
    environment.trimBlocks = true
    environment.lstripBlocks = true
    for (const [name, call] of Object.entries(templateFunctions(translate, placeOf))) {
      environment.addGlobal(name, guarded(call))
    }
    for (const [name, { root, source }] of sources) {
      try {
        environment.addTemplate(name, source)
      } catch (error) {
        throw root === overlay
          ? new OverlayError(`templates.overlay_path: ${templateFault(root, error)}.`, { cause: error })
          : error
      }
    }
    return environment
  }

  let environment: Environment | undefined = build()

  /** Renders one template. */
  const render = (what: string, template: string, values: object, base: BaseContext): string => {
    current = base
    failure = undefined
    try {
      environment ??= build()
      const text = environment.renderTemplate(template, withoutAbsent(values) as Record<string, unknown>)
      if (failure !== undefined) throw failure
      return text
    } catch (error) {
      // After an engine panic the old environment stays borrowed; a new one costs a few milliseconds.
      environment = undefined
      throw new Error(`${what} did not render: ${messageOf(error)}`, { cause: error })
    } finally {
      current = undefined
    }
  }

  return {
    templates: [...sources.keys()].sort(),
    page(name, context, base) {
      const { assets: _, ...shared } = base
      return plainSlashes(
        render(`Page ${name}`, `pages/${name}.html`, { ...shared, ...context, page: name }, base),
      )
    },
    mail(name, context, base) {
      const values = { ...base, ...context, mail: name }
      const shared: BaseContext = {
        ...base,
        csrf: '',
        standalone: false,
        base: base.account_uri,
        assets: noAssets,
        languages: [],
      }
      const part = (ending: string) => render(`Mail ${name}`, `emails/${name}.${ending}`, values, shared)
      return {
        // One line whatever somebody called themselves: a line break would begin another header.
        subject: part('subject')
          .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
          .trim(),
        text: `${part('txt')
          .replace(/\n{3,}/g, '\n\n')
          .trim()}\n`,
        html: plainSlashes(part('html')),
      }
    },
  }
}

/**
 * The engine writes `/` as an entity, which HTML needs nowhere: not in text, not in a quoted attribute. What a person
 * typed cannot contain the entity any more, its `&` has been escaped.
 */
const plainSlashes = (html: string): string => html.replaceAll('&#x2f;', '/')

/** A mail brings nothing with it and loads nothing: whoever loads a picture tells that the mail was read. */
function noAssets(): never {
  throw new Error('A mail has no static files')
}

function readTemplates(root: string): [name: string, source: string][] {
  return Object.entries(FOLDERS).flatMap(([folder, endings]) => {
    const path = join(root, folder)
    if (!existsSync(path)) return []
    return readdirSync(path)
      .filter((file) => endings.some((ending) => file.endsWith(ending)))
      .map((file): [string, string] => [`${folder}/${file}`, readFileSync(join(path, file), 'utf8')])
  })
}

/** A copy without keys that are undefined or null: in a template `is defined` then tells the whole truth. */
function withoutAbsent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAbsent)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined && entry !== null)
      .map(([key, entry]) => [key, withoutAbsent(entry)]),
  )
}
