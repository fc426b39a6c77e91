// The estimator of the strength meter, for the browser: the dictionaries that the server uses too, so both say the
// same. Without English surnames and Wikipedia words, which double the size and change little.
import { ZxcvbnFactory } from '@zxcvbn-ts/core'
import adjacencyGraphs from '@zxcvbn-ts/language-common/dist/adjacencyGraphs.json.mjs'
import diceware from '@zxcvbn-ts/language-common/dist/diceware.json.mjs'
import passwords from '@zxcvbn-ts/language-common/dist/passwords.json.mjs'
import commonWords from '@zxcvbn-ts/language-en/dist/commonWords.json.mjs'
import firstnames from '@zxcvbn-ts/language-en/dist/firstnames.json.mjs'
import wordSequences from '@zxcvbn-ts/language-en/dist/wordSequences.json.mjs'

/** Longer input is cut: the search takes time that grows with the length, and 256 characters settle it. */
const LONGEST = 256

const zxcvbn = new ZxcvbnFactory({
  graphs: adjacencyGraphs,
  dictionary: {
    'diceware-common': diceware,
    'passwords-common': passwords,
    'commonWords-en': commonWords,
    'firstnames-en': firstnames,
    ...wordSequences,
  },
})

/** Score 0 to 4, and zxcvbn's keys for what to tell; `inputs` are words that the password should not hold. */
export function estimate(
  password: string,
  inputs: string[],
): { score: number; warning: string | null; suggestions: string[] } {
  const { score, feedback } = zxcvbn.check(password.slice(0, LONGEST), inputs)
  return { score, warning: feedback.warning, suggestions: feedback.suggestions }
}
