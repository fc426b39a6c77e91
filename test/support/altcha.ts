import { solveChallenge } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import type { Page } from './browser.ts'

/** The challenge of a page's form, as text. */
export const challengeOf = (page: Page): string =>
  /name="altcha_challenge" value="([^"]+)"/.exec(page.text)?.[1]?.replaceAll('&#x2f;', '/') ?? ''

/** Solves a challenge with the library's own solver; gives what the field `altcha` sends. */
export async function solve(challengeText: string): Promise<string> {
  const challenge = JSON.parse(atob(challengeText))
  const solution = await solveChallenge({ challenge, deriveKey })
  if (!solution) throw new Error('no solution was found')
  return btoa(JSON.stringify({ challenge, solution }))
}
