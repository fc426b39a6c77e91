import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config/schema.ts'
import { createViews, type ViewOptions, type Views } from './engine.ts'
import { createTranslate, type Translate } from './translate.ts'

// Decoded: a folder of the path may have a space or an umlaut in its name.
const VIEWS = fileURLToPath(new URL('../../views', import.meta.url))

/** Pages and texts: ours, and over them the operator's own. */
export interface Texts {
  translate: Translate
  views: Views
  /** Our static files, and over them the operator's own, if there are any. */
  staticFolders: string[]
}

/** @throws OverlayError */
export function createTexts(templates: Config['templates'], placeOf?: ViewOptions['placeOf']): Texts {
  const { overlay_path, translations_overlay_path } = templates
  const translate = createTranslate({
    directory: `${VIEWS}/locales`,
    ...(translations_overlay_path !== undefined && { overlay: translations_overlay_path }),
  })
  const views = createViews({
    directory: VIEWS,
    translate,
    ...(placeOf && { placeOf }),
    ...(overlay_path !== undefined && { overlay: overlay_path }),
  })
  const folders = [`${VIEWS}/static`, ...(overlay_path === undefined ? [] : [`${overlay_path}/static`])]
  return { translate, views, staticFolders: folders.filter((folder) => existsSync(folder)) }
}
