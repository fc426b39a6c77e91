import type { BaseContext, PageName } from './contexts.ts'
import type { MailName } from './contexts-mail.ts'
import type { Views } from './engine.ts'
import { type Sample, sampleBase } from './sample-base.ts'
import { samples } from './samples.ts'
import { type MailSample, mailSampleBase, mailSamples } from './samples-mail.ts'

/** One page or mail in one state and language: what was rendered, by the ending of its template, or why it was not. */
export interface RenderedSample {
  template: `pages/${PageName}` | `emails/${MailName}`
  label: string
  lang: string
  parts?: Record<string, string>
  fault?: unknown
}

/** What samples are rendered with. */
export interface SampleOptions {
  languages: BaseContext['languages']
  /** The address of a static file. */
  asset: BaseContext['assets']
  /** The moment that pages take for now; that of the samples if not given. */
  now?: string
}

/** Renders every page and every mail in every state that we know of, in every language. */
export function* renderSamples(
  views: Views,
  { languages, asset, now }: SampleOptions,
): Generator<RenderedSample> {
  const base = { languages, ...(now !== undefined && { now }) }
  for (const { tag } of languages) {
    for (const name of Object.keys(samples) as PageName[])
      yield* each(`pages/${name}`, tag, samples[name] as readonly Sample<PageName>[], (sample) => ({
        html: views.page(name, sample.context, { ...sampleBase(tag, asset), ...base, ...sample.base }),
      }))
    for (const name of Object.keys(mailSamples) as MailName[])
      yield* each(`emails/${name}`, tag, mailSamples[name] as readonly MailSample<MailName>[], (sample) => {
        const { subject, text, html } = views.mail(name, sample.context, {
          ...mailSampleBase(tag),
          ...(now !== undefined && { now }),
          ...sample.base,
        })
        return { subject, txt: text, html }
      })
  }
}

function* each<S extends { label: string }>(
  template: RenderedSample['template'],
  lang: string,
  list: readonly S[],
  render: (sample: S) => Record<string, string>,
): Generator<RenderedSample> {
  for (const sample of list) {
    const what = { template, label: sample.label, lang }
    try {
      yield { ...what, parts: render(sample) }
    } catch (error) {
      yield { ...what, fault: error instanceof Error && error.cause !== undefined ? error.cause : error }
    }
  }
}
