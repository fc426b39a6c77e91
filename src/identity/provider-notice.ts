import type { Deps } from '../deps.ts'
import { readCookie, writeCookie } from '../http/cookies.ts'
import { enabledProviders, providerName } from './providers.ts'

/** Why somebody is back from a provider, or did not get there: `login.provider.<code>`. */
export const PROVIDER_NOTICES = ['unreachable', 'failed', 'cancelled', 'elsewhere'] as const
export type ProviderNotice = (typeof PROVIDER_NOTICES)[number]

/** Seconds that a sentence waits for the page that shows it. */
const LIFETIME = 60

/** The Set-Cookie value of a sentence for the next page. A cookie and not the query: a link cannot make a page say it. */
export const providerNoticeCookie = (
  deps: Pick<Deps, 'urls'>,
  code: ProviderNotice,
  providerId: string,
): string => writeCookie(deps.urls, 'notice', `${code}.${providerId}`, LIFETIME)

/** The Set-Cookie value that forgets a sentence that was shown. */
export const noProviderNotice = (deps: Pick<Deps, 'urls'>): string => writeCookie(deps.urls, 'notice', '', 0)

/** The sentence that waits, and the name of the provider that it is about. */
export function readProviderNotice(
  deps: Pick<Deps, 'urls' | 'config'>,
  request: Request,
): { code: ProviderNotice; name: string } | undefined {
  const [said, id] = (readCookie(deps.urls, request, 'notice') ?? '').split('.')
  const code = PROVIDER_NOTICES.find((one) => one === said)
  const provider = enabledProviders(deps.config).find((one) => one.id === id)
  return code && provider && { code, name: providerName(provider) }
}
