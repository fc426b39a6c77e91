// Also the entry of the browser's bundle: nothing but zxcvbn may be imported here, so that the meter on the page and
// the check on the server cannot disagree.
import { ZxcvbnFactory } from '@zxcvbn-ts/core'
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common'
// File by file: the package's index cannot be tree-shaken, and doubles the bundle (469 kB to 851 kB gzipped).
import commonWords from '@zxcvbn-ts/language-en/dist/commonWords.json.mjs'
import firstnames from '@zxcvbn-ts/language-en/dist/firstnames.json.mjs'
import wordSequences from '@zxcvbn-ts/language-en/dist/wordSequences.json.mjs'

/** How strong a password is, 0 (guessed at once) to 4; `warning` and `suggestions` are zxcvbn's keys, not sentences. */
export type Strength = { score: 0 | 1 | 2 | 3 | 4; warning?: string; suggestions: string[] }

/** Characters that are looked at: what follows can only make a password stronger, and time grows with the square. */
export const STRENGTH_LENGTH = 128

/** The word lists, without last names and Wikipedia's words, which are half of the size. */
export const strengthDictionaries: Record<string, string[]> = {
  'passwords-common': common['passwords-common'],
  // The scoring rule for passphrases looks for this very name, and the package calls the list something else.
  diceware: common['diceware-common'],
  'commonWords-en': commonWords,
  'firstnames-en': firstnames,
  ...wordSequences,
}

const PENALISED = 32

/**
 * Builds the check; this takes tens of milliseconds and megabytes, so once a process or page. `penalised` is what
 * an attacker tries first (name, address, server name): whole and in its words, of which the first 32 count.
 * A check takes some 5 ms, and up to 0.1 s for the worst 128 characters.
 */
export function createStrengthCheck(): (password: string, penalised: readonly string[]) => Strength {
  const zxcvbn = new ZxcvbnFactory({
    dictionary: strengthDictionaries,
    graphs: adjacencyGraphs,
    maxLength: STRENGTH_LENGTH,
    // The default of 100 lets 128 chosen characters hold the event loop for a third of a second.
    l33tMaxSubstitutions: 32,
  })
  return (password, penalised) => {
    const { score, feedback } = zxcvbn.check(password, withWords(penalised))
    const { warning, suggestions } = feedback
    return warning ? { score, warning, suggestions } : { score, suggestions }
  }
}

/** The inputs and their words of three letters or more, so that `alice` counts in `alice@example.org`. */
function withWords(inputs: readonly string[]): string[] {
  const whole = inputs.map((input) => input.slice(0, STRENGTH_LENGTH).trim())
  const words = whole.flatMap((input) => input.split(/[^\p{L}\p{N}]+/u))
  return [...new Set([...whole, ...words])].filter((word) => word.length >= 3).slice(0, PENALISED)
}
