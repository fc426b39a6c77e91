import { accountSamples } from './samples/account.ts'
import { consentSamples } from './samples/consent.ts'
import type { Samples } from './samples/parts.ts'
import { problemSamples } from './samples/problems.ts'
import { signInSamples } from './samples/sign-in.ts'

/** Several states of every page: plain, with errors, with long and right-to-left names, with hostile values. */
export const samples: Samples = {
  ...signInSamples,
  ...consentSamples,
  ...accountSamples,
  ...problemSamples,
}
