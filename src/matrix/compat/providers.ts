import type { Config } from '../../config/schema.ts'

/** A provider as the login flows name it (Matrix specification, SSO client login). */
export interface IdentityProvider {
  id: string
  name: string
  brand?: string
}

/** Brands that the specification has an id for. */
const BRANDS: Record<string, string> = {
  apple: 'apple',
  facebook: 'facebook',
  github: 'github',
  gitlab: 'gitlab',
  google: 'google',
  twitter: 'twitter',
}

/** The providers that people may choose from before they come to our page; none unless they are configured. */
export const identityProviders = (config: Pick<Config, 'upstream_oauth2'>): IdentityProvider[] =>
  config.upstream_oauth2.providers
    .filter(({ enabled }) => enabled)
    .map(({ id, human_name, issuer, brand_name }) => {
      const brand = brand_name === undefined ? undefined : BRANDS[brand_name.toLowerCase()]
      return {
        id,
        name: human_name ?? hostOf(issuer) ?? id,
        ...(brand !== undefined && { brand }),
      }
    })

const hostOf = (issuer: string | undefined): string | undefined =>
  issuer !== undefined && URL.canParse(issuer) ? new URL(issuer).host : undefined
