import type { Config } from '../../config/schema.ts'
import { type ProviderName, providerButtons } from '../../identity/providers.ts'

/** Brands that the specification has an id for. */
const BRANDS: ReadonlySet<string> = new Set(['apple', 'facebook', 'github', 'gitlab', 'google', 'twitter'])

/** The providers as the login flows name them (Matrix specification, SSO client login). */
export const identityProviders = (config: Pick<Config, 'upstream_oauth2'>): ProviderName[] =>
  providerButtons(config).map(({ brand, ...provider }) => ({
    ...provider,
    ...(brand !== undefined && BRANDS.has(brand) && { brand }),
  }))
