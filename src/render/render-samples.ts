import type { PageName } from './contexts.ts'
import type { Views } from './engine.ts'
import { type Sample, sampleBase } from './sample-base.ts'
import { samples } from './samples.ts'

/** Renders every page in every state that we know of; gives the first error, if any. */
export function renderSamples(views: Views): unknown {
  const names = Object.keys(samples) as PageName[]
  try {
    for (const name of names) renderEach(views, name, samples[name])
    return undefined
  } catch (error) {
    return error instanceof Error && error.cause !== undefined ? error.cause : error
  }
}

function renderEach<P extends PageName>(views: Views, name: P, list: readonly Sample<P>[]): void {
  for (const { context, base } of list)
    views.page(name, context, { ...sampleBase('en', (file) => `/assets/${file}`), ...base })
}
