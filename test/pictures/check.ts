/** `bun run test:pages`: see README.md. */
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { startChromium, type Visitor } from '../support/chromium.ts'
import { playHosts, type State, startGallery } from './gallery.ts'

/** The narrowest phone with large text, and a desktop; each language is looked at in all of them. */
const LOOKS = {
  'desktop light': { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  'desktop dark': { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  'phone light': { viewport: { width: 320, height: 640 }, colorScheme: 'light', hasTouch: true },
  'phone dark': { viewport: { width: 320, height: 640 }, colorScheme: 'dark', hasTouch: true },
} as const

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    lang: { type: 'string', multiple: true, default: ['en'] },
    look: { type: 'string', multiple: true, default: Object.keys(LOOKS) },
  },
})

await using started = new AsyncDisposableStack()
const gallery = await startGallery()
started.defer(gallery.stop)
const chromium = await startChromium()
started.defer(chromium.stop)

/** What is wrong with a page as it is: a line each. */
async function faults(visitor: Visitor, state: State): Promise<string[]> {
  const { page } = visitor
  await page.goto(state.url)
  const found = (await visitor.accessibilityProblems()).filter(
    (problem) => !state.isMail || !OF_WHOLE_PAGES.test(problem),
  )
  found.push(...(await page.evaluate(faultsOfLayout)))
  // The keyboard works in a mail as the mail program has it.
  if (!state.isMail) found.push(...(await faultsOfKeyboard(page)))
  found.push(...visitor.problems.splice(0).filter((problem) => !isOfSamples(problem)))
  return found
}

/** A mail program shows a mail within a page of its own. */
const OF_WHOLE_PAGES = /: (landmark-one-main|page-has-heading-one|region) /

/** The widgets of others are not there, and nobody answers whether a name is free. */
const isOfSamples = (problem: string): boolean => /captcha\.example\.org|ERR_|status of 404/.test(problem)

function faultsOfLayout(): string[] {
  const found: string[] = []
  const { scrollWidth, clientWidth } = document.documentElement
  if (scrollWidth > clientWidth) found.push(`${scrollWidth - clientWidth} pixels wider than the window`)
  for (const element of document.querySelectorAll<HTMLElement>('main *, footer *, header *')) {
    // Text that is cut off. A picture of the look and what is for screen readers alone may be.
    if (element.closest('.visually-hidden, .plate-art, [aria-hidden="true"], .skip')) continue
    const style = getComputedStyle(element)
    if (style.overflowX === 'visible' || element.scrollWidth <= element.clientWidth + 1) continue
    if (!['INPUT', 'SELECT', 'TEXTAREA'].includes(element.tagName))
      found.push(`cut off: ${element.tagName.toLowerCase()}.${element.className}`)
  }
  const levels = [...document.querySelectorAll('h1, h2, h3')].map(({ tagName }) => Number(tagName[1]))
  levels.forEach((level, index) => {
    if (level > (levels[index - 1] ?? 0) + 1)
      found.push(`a heading of level ${level} after ${levels[index - 1]}`)
  })
  return found
}

/** Goes through the page with the tab key, from its beginning: everything is reached, in order, and shows it. */
async function faultsOfKeyboard(page: Page): Promise<string[]> {
  const count = await page.evaluate(() => {
    const all = [
      ...document.querySelectorAll<HTMLElement>('a[href], button, input, select, textarea, summary, iframe'),
    ]
    const reachable = all.filter(
      (element) =>
        element.checkVisibility() &&
        !(element as HTMLInputElement).disabled &&
        (element as HTMLInputElement).type !== 'hidden' &&
        element.tabIndex >= 0,
    )
    reachable.forEach((element, index) => {
      element.dataset.order = String(index)
    })
    // From the beginning, wherever the page put the focus.
    const begin = document.createElement('span')
    begin.tabIndex = -1
    document.body.prepend(begin)
    begin.focus()
    return reachable.length
  })
  const found: string[] = []
  const reached: string[] = []
  for (let step = 0; step < count; step++) {
    await page.keyboard.press('Tab')
    const { order, name, shows, seen } = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement
      const style = getComputedStyle(element)
      const { top, bottom, left, right } = element.getBoundingClientRect()
      return {
        order: element.dataset.order ?? '',
        name: `${element.tagName.toLowerCase()} ${element.textContent?.trim() || element.id}`,
        // Within a frame its page shows where the focus is.
        shows:
          element.tagName === 'IFRAME' ||
          (style.outlineStyle !== 'none' && Number.parseFloat(style.outlineWidth) >= 2),
        seen: bottom > 0 && top < innerHeight && right > 0 && left < innerWidth,
      }
    })
    if (order === '') break
    reached.push(order)
    if (!shows) found.push(`the focus does not show on ${name}`)
    if (!seen) found.push(`the focus is outside the window on ${name}`)
  }
  // A group of radio buttons is one stop.
  const radios = await page.evaluate(() => {
    const all = [...document.querySelectorAll<HTMLInputElement>('input[type="radio"]')]
    return all.length - new Set(all.map(({ name }) => name)).size
  })
  if (reached.length < count - radios)
    found.push(`${count - radios - reached.length} controls are not reached`)
  if (reached.some((order, index) => Number(order) < Number(reached[index - 1] ?? -1)))
    found.push('the focus jumps back')
  return found
}

const wanted = new RegExp(options.only)
let looked = 0
const lines: string[] = []
for (const lang of options.lang)
  for (const look of options.look as (keyof typeof LOOKS)[]) {
    const visitor = await chromium.visitor({ ...LOOKS[look], reducedMotion: 'reduce' })
    visitor.page.setDefaultTimeout(120_000)
    await playHosts(visitor)
    for (const state of gallery.states(lang).filter(({ name }) => wanted.test(name))) {
      looked++
      for (const fault of await faults(visitor, state)) {
        const line = `${state.name}, ${look}, ${lang}: ${fault}`
        lines.push(line)
        console.log(line)
      }
    }
    await visitor.close()
  }
console.log(`${looked} looked at, ${lines.length} faults.`)
if (looked === 0 || lines.length > 0) process.exitCode = 1
