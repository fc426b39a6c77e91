import { findRawParameters } from '../../sql/grants.ts'
import type { Deps } from '../deps.ts'
import { enabledProviders, type Provider } from './providers.ts'

/** How an authorization request names a provider in `acr_values`. */
const ACR = 'urn:latchkey:idp:'

/**
 * The provider that somebody is to sign in with: named by `upstream_idp` in the query of the page or in the authorization
 * request, by `acr_values` there, or through the domain of an address that they typed or that the app hints at.
 */
export async function chosenProvider(
  deps: Pick<Deps, 'config' | 'sql'>,
  query: { upstream_idp?: string; login_hint?: string },
  grantId: string | undefined,
): Promise<Provider | undefined> {
  const providers = enabledProviders(deps.config)
  if (providers.length === 0) return undefined
  const [request] = grantId === undefined ? [] : await findRawParameters(deps.sql, grantId)
  const { upstream_idp, acr_values = '', login_hint } = request?.raw_parameters ?? {}
  const acr = acr_values.split(' ').find((value) => value.startsWith(ACR))
  const id = query.upstream_idp ?? upstream_idp ?? acr?.slice(ACR.length)
  const named = providers.find((provider) => provider.id === id?.toUpperCase())
  return named ?? providerOfAddress(deps, query.login_hint ?? login_hint)
}

/** Whether an address alone may lead on: some provider has `email_domains`. */
export const addressesLeadOn = ({ config }: Pick<Deps, 'config'>): boolean =>
  enabledProviders(config).some(({ email_domains: domains }) => domains.length > 0)

/** The provider for the domain of an address (`email_domains`). */
export function providerOfAddress(
  deps: Pick<Deps, 'config'>,
  address: string | undefined,
): Provider | undefined {
  const domain = /^[^\s@]+@([^\s@:]+)$/.exec(address?.trim() ?? '')?.[1]?.toLowerCase()
  if (domain === undefined) return undefined
  return enabledProviders(deps.config).find(({ email_domains: domains }) =>
    domains.some((one) => one.toLowerCase() === domain),
  )
}
