import { expect } from 'bun:test'
import { join } from 'node:path'
import type { BrowserContextOptions } from 'playwright-core'
import type { TestChromium, Visitor } from '../support/chromium.ts'

/** A phone and a desktop, light and dark, with script and without. */
export const LOOKS = {
  'desktop, light, with JavaScript': { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  'desktop, dark, with JavaScript': { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  'phone, light, with JavaScript': {
    viewport: { width: 360, height: 740 },
    colorScheme: 'light',
    hasTouch: true,
  },
  'phone, dark, with JavaScript': {
    viewport: { width: 320, height: 640 },
    colorScheme: 'dark',
    hasTouch: true,
  },
  'desktop, dark, without JavaScript': {
    viewport: { width: 1280, height: 800 },
    colorScheme: 'dark',
    javaScriptEnabled: false,
  },
  'phone, light, without JavaScript': {
    viewport: { width: 320, height: 640 },
    colorScheme: 'light',
    javaScriptEnabled: false,
    hasTouch: true,
  },
} as const satisfies Record<string, BrowserContextOptions>
export type LookName = keyof typeof LOOKS

/** One look for each of the four ways to go through a flow. */
export const WAYS = [
  'desktop, light, with JavaScript',
  'phone, dark, with JavaScript',
  'desktop, dark, without JavaScript',
  'phone, light, without JavaScript',
] as const satisfies readonly LookName[]

/** For what is dear in a browser: once with script and once without, once on a desktop and once on a phone. */
export const TWO_LOOKS = [WAYS[0], WAYS[3]] as const
/** For what a page does, whose appearance is looked at elsewhere: light and dark, with script and without. */
export const SOME_LOOKS = [WAYS[0], WAYS[1], WAYS[3]] as const
/** For pages that no other walk meets. */
export const MOST_LOOKS = (Object.keys(LOOKS) as LookName[]).filter((name) => name !== WAYS[2])

/** The looks that a walk is for; all four ways as well with `bun run test:walks`. */
export function looksOf(names: readonly LookName[]): [LookName, BrowserContextOptions][] {
  const every = process.env.LATCHKEY_TEST_WALKS === 'all' ? [...new Set([...names, ...WAYS])] : names
  return every.map((name) => [name, LOOKS[name]])
}

/** Where pictures of the pages go, for somebody who wants to look at them. */
const pictures = process.env.LATCHKEY_TEST_PICTURES

/** Somebody at a browser, whose pages are looked at on the way. */
export interface Walker extends Visitor {
  hasScript: boolean
  /** Waits for the page with this heading; it must fit the window and, looked at with script, be accessible. */
  sees(heading: string): Promise<void>
  press(name: string): Promise<void>
  fill(label: string, text: string): Promise<void>
}

/**
 * Walks through pages in a look; fails for what axe, the policy or the console found on the way. `provoked` are the
 * problems that the walk is about: by default answers to a form with a mistake.
 */
export async function walkAs(
  chromium: TestChromium,
  name: string,
  look: BrowserContextOptions,
  act: (walker: Walker) => Promise<void>,
  provoked = /status of 422/,
): Promise<void> {
  await chromium.visit(look, async (visitor) => {
    const { page } = visitor
    const hasScript = look.javaScriptEnabled !== false
    const found: string[] = []
    let count = 0
    await act({
      ...visitor,
      hasScript,
      async sees(heading) {
        await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor()
        // axe needs the page's own timers, which a browser without script does not run.
        if (hasScript)
          found.push(...(await visitor.accessibilityProblems()).map((line) => `${heading}: ${line}`))
        const tooWide = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        )
        if (tooWide > 0) found.push(`${heading}: ${tooWide} pixels wider than the window`)
        if (!pictures) return
        const file = `${name} ${String(++count).padStart(2, '0')} ${heading}`.replace(/[^\w]+/g, '-')
        await page.screenshot({ path: join(pictures, `${file}.png`), fullPage: true })
      },
      press: (button) => page.getByRole('button', { name: button, exact: true }).click(),
      fill: (label, text) => page.getByLabel(label, { exact: true }).fill(text),
    })
    expect(found).toEqual([])
    expect(visitor.problems.filter((problem) => !provoked.test(problem))).toEqual([])
  })
}
