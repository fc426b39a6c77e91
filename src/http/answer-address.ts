import type { RedirectTarget } from './errors.ts'
import type { Urls } from './urls.ts'

/** What an authorization response says, in order. */
export const answerPairs = (
  { issuer }: Pick<Urls, 'issuer'>,
  { state }: RedirectTarget,
  result: Readonly<Record<string, string>>,
): [string, string][] => [
  ...(state === undefined ? [] : [['state', state] as [string, string]]),
  ...Object.entries(result),
  ['iss', issuer],
]

/** The redirect URI with an answer, for the modes that an address can carry: `query` and `fragment`. */
export function answerAddress(
  { redirectUri, responseMode }: RedirectTarget,
  pairs: [string, string][],
): string {
  const url = new URL(redirectUri)
  if (responseMode === 'fragment') {
    url.hash = new URLSearchParams(pairs).toString()
    return url.href
  }
  // Existing parameters keep their spelling: appending to searchParams would rewrite them.
  const separator = url.search === '' ? '?' : '&'
  url.search = `${url.search}${separator}${new URLSearchParams(pairs)}`
  return url.href
}
