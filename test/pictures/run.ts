/** `bun run pictures`: see README.md. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { startChromium } from '../support/chromium.ts'
import { CHOSEN } from './chosen.ts'
import { playHosts, type State, startGallery } from './gallery.ts'

const DOCS = join(import.meta.dirname, '..', '..', 'docs', 'images')
const SIZES = { desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 780 } }
const SCHEMES = ['light', 'dark'] as const
type Size = keyof typeof SIZES
type Scheme = (typeof SCHEMES)[number]

const { values: options } = parseArgs({
  options: {
    /** Every page in every state and look, into this directory. */
    all: { type: 'string' },
    /** Of those, the ones whose name this pattern matches. */
    only: { type: 'string', default: '' },
    lang: { type: 'string', multiple: true, default: ['en'] },
    size: { type: 'string', multiple: true, default: Object.keys(SIZES) },
    scheme: { type: 'string', multiple: true, default: [...SCHEMES] },
  },
})

await using started = new AsyncDisposableStack()
const gallery = await startGallery()
started.defer(gallery.stop)
const chromium = await startChromium()
started.defer(chromium.stop)

/** The visible part as WebP, which is a fifth of a PNG; only the debugger's own command makes one. */
async function takeWebp(page: Page, path: string): Promise<void> {
  const devtools = await page.context().newCDPSession(page)
  const { data } = await devtools.send('Page.captureScreenshot', { format: 'webp', quality: 82 })
  await devtools.detach()
  await writeFile(path, Buffer.from(data, 'base64'))
}

/** Calls `each` with a page on every state, in a browser of that look. */
async function look(
  [size, colorScheme]: [Size, Scheme],
  states: readonly State[],
  each: (page: Page, state: State) => Promise<void>,
  deviceScaleFactor = 1,
): Promise<void> {
  const visitor = await chromium.visitor({
    viewport: SIZES[size],
    colorScheme,
    deviceScaleFactor,
    reducedMotion: 'reduce',
    hasTouch: size === 'phone',
  })
  await playHosts(visitor)
  for (const state of states) {
    await visitor.page.goto(state.url)
    await each(visitor.page, state)
  }
  await visitor.close()
}

if (options.all === undefined) {
  await mkdir(DOCS, { recursive: true })
  for (const { file, state: name, size, scheme, lang = 'en' } of CHOSEN) {
    const state = gallery.states(lang).find((one) => one.name === name)
    if (!state) throw new Error(`There is no state ${name}.`)
    await look(
      [size, scheme],
      [state],
      (page) => takeWebp(page, join(DOCS, `${file}.webp`)),
      size === 'phone' ? 2 : 1.5,
    )
  }
  console.log(`${CHOSEN.length} pictures are in docs/images.`)
} else {
  const directory = options.all
  await mkdir(directory, { recursive: true })
  const wanted = new RegExp(options.only)
  let count = 0
  for (const lang of options.lang)
    for (const size of options.size as Size[])
      for (const scheme of options.scheme as Scheme[]) {
        const states = gallery.states(lang).filter(({ name }) => wanted.test(name))
        await look([size, scheme], states, async (page, { name }) => {
          const path = join(directory, `${name}.${size}.${scheme}.${lang}.png`)
          await page.screenshot({ path, fullPage: true, animations: 'disabled' })
          count++
        })
      }
  console.log(`${count} pictures are in ${directory}.`)
}
