import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { TestChromium } from '../support/chromium.ts'

/** How a page is looked at. */
export interface Look {
  size: 'desktop' | 'phone'
  scheme: 'light' | 'dark'
}
/** A picture of a state, as WebP. */
export interface Taken {
  look: Look
  image: Buffer
}

/** The four looks of a page, side by side, and how wide each is on its sheet. */
const COLUMNS: readonly [Look, number][] = [
  [{ size: 'desktop', scheme: 'light' }, 480],
  [{ size: 'desktop', scheme: 'dark' }, 480],
  [{ size: 'phone', scheme: 'light' }, 160],
  [{ size: 'phone', scheme: 'dark' }, 160],
]
/** Long pages are cut here: what is below looks like what is above. */
const TALLEST = 900
const GAP = 8
const WIDTH = COLUMNS.reduce((sum, [, width]) => sum + width + GAP, GAP)

/** The pages of an area, in the order in which a reader meets them; `page` is the name of the view. */
const AREAS: readonly [string, RegExp][] = [
  ['Signing in and out', /^(index|login|terms|session_\w+|sign_out|logged_out|end_session)$/],
  ['Sign-up', /^(register\w*|account_waiting)$/],
  ['Recovery, and accounts that are closed', /^(recover\w*|account_(locked|deactivated)|deactivation_\w+)$/],
  ['Apps and devices that ask for access', /^(consent|device_\w+|compat_\w+|policy_violation|form_post)$/],
  ['Other providers', /^(upstream_\w+|account_(linked|unlink))$/],
  ['Account area', /^account/],
  ['Mails', /^mail-/],
  ['Errors', /./],
]

/** The area of each page, areas and pages in order. */
export function byArea(pages: readonly string[]): [string, string[]][] {
  const areas = AREAS.map(([title]): [string, string[]] => [title, []])
  for (const page of pages) areas[AREAS.findIndex(([, pattern]) => pattern.test(page))]?.[1].push(page)
  return areas.filter(([, names]) => names.length > 0)
}

/** The page that a state is one of: `login` of `login.wrong-password`. */
export const pageOf = (state: string): string => state.slice(0, state.indexOf('.'))

/** The text of `docs/images/pages/README.md`, which shows the sheet of each page. */
export function indexOfPages(states: readonly string[]): string {
  const pages = [...new Set(states.map(pageOf))]
  const lines = byArea(pages).flatMap(([title, names]) => [
    `## ${title}`,
    '',
    ...names.flatMap((page) => {
      const count = states.filter((state) => pageOf(state) === page).length
      return [
        `\`${page}\`${count > 1 ? ` (one of ${count} states)` : ''}`,
        '',
        `![${page}](${page}.webp)`,
        '',
      ]
    }),
  ])
  return `${HEAD}\n${lines.join('\n')}`
}

const HEAD = `# Every page

Written by \`bun run pictures\`, never by hand: each page and mail as it plainly is, on a desktop and on a phone, light and dark. All their states in full size are in \`docs/images/states/\` after that command; that directory is not committed ([test/pictures](../../../test/pictures/README.md)).
`

/** Puts the four pictures of a page side by side, into `directory/<name>.webp`. */
export async function writeSheet(
  chromium: TestChromium,
  directory: string,
  name: string,
  pictures: readonly Taken[],
): Promise<void> {
  await chromium.visit({ viewport: { width: WIDTH, height: 100 } }, async ({ page }) => {
    const tiles = COLUMNS.map(([{ size, scheme }, width]) => {
      const taken = pictures.find(({ look }) => look.size === size && look.scheme === scheme)
      if (!taken) throw new Error(`${name}: there is no picture on a ${size}, ${scheme}.`)
      return `<img alt="" width="${width}" src="data:image/webp;base64,${taken.image.toString('base64')}">`
    })
    await page.setContent(
      `<style>body { margin: ${GAP}px; display: flex; gap: ${GAP}px; align-items: start; background: #8a8f98 }
      img { max-height: ${TALLEST - 2 * GAP}px; object-fit: cover; object-position: top }</style>${tiles.join('')}`,
    )
    await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode())))
    await writeFile(join(directory, `${name}.webp`), await takeWebp(page, { quality: 50 }))
  })
}

/** Removes the sheets of pages that are not there any more. */
export async function removeOthers(directory: string, pages: readonly string[]): Promise<void> {
  for (const file of await readdir(directory))
    if (file.endsWith('.webp') && !pages.includes(file.replace(/\.webp$/, '')))
      await rm(join(directory, file))
}

/** The window, or all of the page, as WebP, which is a fifth of a PNG; only the debugger's own command makes one. */
export async function takeWebp(
  page: Page,
  { quality = 82, whole = true }: { quality?: number; whole?: boolean } = {},
): Promise<Buffer> {
  const devtools = await page.context().newCDPSession(page)
  const { width, height } = await page.evaluate(() => ({
    width: innerWidth,
    height: document.documentElement.scrollHeight,
  }))
  // What WebP can hold.
  const clip = { x: 0, y: 0, width, height: Math.min(height, 16_383), scale: 1 }
  const { data } = await devtools.send('Page.captureScreenshot', {
    format: 'webp',
    quality,
    ...(whole && { captureBeyondViewport: true, clip }),
  })
  await devtools.detach()
  return Buffer.from(data, 'base64')
}
