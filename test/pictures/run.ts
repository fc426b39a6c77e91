/** `bun run pictures`: see README.md. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { startChromium } from '../support/chromium.ts'
import { CHOSEN } from './chosen.ts'
import { playHosts, type State, startGallery } from './gallery.ts'
import { indexOfPages, type Look, pageOf, removeOthers, type Taken, takeWebp, writeSheet } from './sheets.ts'

const DOCS = join(import.meta.dirname, '..', '..', 'docs', 'images')
const PAGES = join(DOCS, 'pages')
const SIZES = { desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 780 } }
const SCHEMES = ['light', 'dark'] as const

const { values: options } = parseArgs({
  options: {
    /** Every page in every state and look, into this directory and nothing into `docs/images`. */
    all: { type: 'string' },
    /** Only the states whose name this pattern matches. */
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

/** Calls `each` with a page on every state, in a browser of that look. */
async function look(
  { size, scheme }: Look,
  states: readonly State[],
  each: (page: Page, state: State) => Promise<void>,
  deviceScaleFactor = 1,
): Promise<void> {
  const visitor = await chromium.visitor({
    viewport: SIZES[size],
    colorScheme: scheme,
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

const wanted = new RegExp(options.only)
const isWanted = ({ name }: State): boolean => wanted.test(name)

/** All of the wanted states into `directory`; `each` is given every picture. */
async function takeStates(
  directory: string,
  each: (state: State, taken: Taken) => void = () => {},
): Promise<void> {
  await mkdir(directory, { recursive: true })
  let count = 0
  for (const lang of options.lang)
    for (const size of options.size as Look['size'][])
      for (const scheme of options.scheme as Look['scheme'][])
        await look({ size, scheme }, gallery.states(lang).filter(isWanted), async (page, state) => {
          const image = await takeWebp(page)
          await writeFile(join(directory, `${state.name}.${size}.${scheme}.${lang}.webp`), image)
          each(state, { look: { size, scheme }, image })
          count++
        })
  console.log(`${count} pictures are in ${directory}.`)
}

/** The pictures that the documentation shows. */
async function takeChosen(): Promise<void> {
  let count = 0
  for (const { file, state: name, size, scheme, lang = 'en' } of CHOSEN) {
    const state = gallery.states(lang).find((one) => one.name === name)
    if (!state) throw new Error(`There is no state ${name}.`)
    if (!isWanted(state)) continue
    await look(
      { size, scheme },
      [state],
      async (page) => writeFile(join(DOCS, `${file}.webp`), await takeWebp(page, { whole: false })),
      size === 'phone' ? 2 : 1.5,
    )
    count++
  }
  console.log(`${count} pictures of the documentation are in ${DOCS}.`)
}

/** Every state, and of each page a sheet with one of them in the four looks: the chosen one, or the first. */
async function takePages(): Promise<void> {
  const names = gallery.states('en').map(({ name }) => name)
  const pages = [...new Set(names.map(pageOf))]
  const shown = [...CHOSEN.map(({ state }) => state), ...names]
  const first = new Map(pages.map((page) => [shown.find((name) => pageOf(name) === page), page]))
  const pictures = new Map<string, Taken[]>()
  await takeStates(join(DOCS, 'states'), ({ name, lang }, taken) => {
    const page = first.get(name)
    if (page && lang === 'en') pictures.set(page, [...(pictures.get(page) ?? []), taken])
  })
  let count = 0
  for (const [page, taken] of pictures) {
    if (taken.length < 4) continue
    await writeSheet(chromium, PAGES, page, taken)
    count++
  }
  await removeOthers(PAGES, pages)
  await writeFile(join(PAGES, 'README.md'), indexOfPages(names))
  console.log(`${count} sheets are in ${PAGES}.`)
}

if (options.all !== undefined) await takeStates(options.all)
else {
  await mkdir(PAGES, { recursive: true })
  await takeChosen()
  await takePages()
}
