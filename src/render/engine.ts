// node:fs and not Bun.file: templates are read once, synchronously, before the first page is asked for.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Environment } from 'minijinja-js'
import { messageOf } from '../lib/thrown.ts'
import type { BaseContext, Contexts, PageName } from './contexts.ts'
import { templateFunctions } from './functions.ts'
import type { Translate } from './translate.ts'

/** Makes pages. */
export interface Views {
  /** The HTML of page `name`; throws for a template that is broken (an undefined variable, a missing message). */
  page<P extends PageName>(name: P, context: Contexts[P], base: BaseContext): string
  /** Names of all templates that were read, for example `pages/login.html`. */
  templates: readonly string[]
}

export interface ViewOptions {
  /** The `views` directory; its `layouts`, `partials` and `pages` are read. */
  directory: string
  /** The operator's directory of the same shape: a file there stands in for ours of the same name. */
  overlay?: string
  translate: Translate
}

const FOLDERS = ['layouts', 'partials', 'pages'] as const

/** Instructions that one page may take: bounds a template that loops. The account page takes 150 a session. */
const FUEL = 1_000_000

/**
 * Reads and compiles all templates, so that a broken one stops the start and not a visitor. Escaping is on (the names
 * end in `.html`), undefined variables are errors, and templates can reach nothing but their context.
 */
export function createViews({ directory, overlay, translate }: ViewOptions): Views {
  const sources = new Map<string, string>()
  for (const root of overlay === undefined ? [directory] : [directory, overlay]) {
    for (const [name, source] of readTemplates(root)) sources.set(name, source)
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
    for (const [name, call] of Object.entries(templateFunctions(translate))) {
      environment.addGlobal(name, guarded(call))
    }
    for (const [name, source] of sources) environment.addTemplate(name, source)
    return environment
  }

  let environment: Environment | undefined = build()

  return {
    templates: [...sources.keys()].sort(),
    page(name, context, base) {
      const { assets: _, ...shared } = base
      current = base
      failure = undefined
      try {
        environment ??= build()
        const html = environment.renderTemplate(`pages/${name}.html`, {
          ...(withoutAbsent(shared) as object),
          ...(withoutAbsent(context) as object),
          page: name,
        })
        if (failure !== undefined) throw failure
        // The engine writes `/` as an entity, which HTML needs nowhere: not in text, not in a quoted attribute. What a
        // person typed cannot contain the entity any more, its `&` has been escaped.
        return html.replaceAll('&#x2f;', '/')
      } catch (error) {
        // After an engine panic the old environment stays borrowed; a new one costs a few milliseconds.
        environment = undefined
        throw new Error(`Page ${name} did not render: ${messageOf(error)}`, {
          cause: error,
        })
      } finally {
        current = undefined
      }
    },
  }
}

function readTemplates(root: string): [name: string, source: string][] {
  return FOLDERS.flatMap((folder) => {
    const path = join(root, folder)
    if (!existsSync(path)) return []
    return readdirSync(path)
      .filter((file) => file.endsWith('.html'))
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
