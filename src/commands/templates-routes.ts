import { buildCommand, buildRouteMap } from '@stricli/core'
import { aliases, flag, shared, text } from './flags.ts'

/** `latchkey templates …`. */
export const templatesRoutes = buildRouteMap({
  routes: {
    check: buildCommand({
      loader: () => import('./templates.ts').then((module) => module.checkTemplatesCommand),
      parameters: {
        flags: {
          ...shared,
          outDir: text('Write every page and mail into this folder, one file each', 'folder'),
          stabilise: flag('Leave out what differs from run to run: the time, the hashes of static files'),
        },
        aliases,
      },
      docs: {
        brief: 'Render every page and mail with your own templates and messages',
        fullDescription: `Renders every page and every mail in every state and language, with what templates.overlay_path and
templates.translations_overlay_path put in place of ours. Names the file and line of each fault, and files that nothing
uses. Nothing is served and nothing is changed.

Examples: latchkey templates check
          latchkey templates check --stabilise --out-dir before`,
      },
    }),
  },
  docs: { brief: 'Check your own templates and messages' },
})
