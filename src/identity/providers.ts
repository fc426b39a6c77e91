import type { Config } from '../config/schema.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { registrationEnabled } from '../policy/register.ts'

/** A provider of the configuration: `upstream_oauth2.providers[]`. */
export type Provider = Config['upstream_oauth2']['providers'][number]

/** A provider as pages and clients name it. */
export interface ProviderName {
  /** ULID. */
  id: string
  name: string
  brand?: string
}

/** The providers that people may sign in with, in the order of the configuration. */
export const enabledProviders = (config: Pick<Config, 'upstream_oauth2'>): Provider[] =>
  config.upstream_oauth2.providers.filter(({ enabled }) => enabled)

/** How brands are written; they are the ones that MAS knows. */
const BRANDS: ReadonlyMap<string, string> = new Map([
  ['apple', 'Apple'],
  ['discord', 'Discord'],
  ['facebook', 'Facebook'],
  ['github', 'GitHub'],
  ['gitlab', 'GitLab'],
  ['google', 'Google'],
  ['twitter', 'Twitter'],
])

/** The operator's own sentence for somebody whom `allow_if` turns away, in their language if there is one. */
export function turnedAwayMessage(
  {
    allow_if_message: usual,
    allow_if_messages: messages,
  }: Pick<Provider, 'allow_if_message' | 'allow_if_messages'>,
  lang: string,
): string | undefined {
  return messages?.[lang] ?? messages?.[lang.split('-')[0] ?? ''] ?? usual
}

/** What a provider is called where people see it. */
export const providerName = ({
  id,
  human_name,
  brand_name,
  issuer,
}: { id: string } & { [K in 'human_name' | 'brand_name' | 'issuer']?: string | undefined }): string =>
  human_name ?? BRANDS.get(brand_name?.toLowerCase() ?? '') ?? hostOf(issuer) ?? id

/** The same of an identity that is linked: its provider may have left the configuration. */
export function nameOfProviderIn(
  config: Pick<Config, 'upstream_oauth2'>,
  row: { provider_id: string; provider_name: string | null; provider_issuer: string | null },
): string {
  const id = ulidFromUuid(row.provider_id)
  const left = { id, human_name: row.provider_name ?? undefined, issuer: row.provider_issuer ?? undefined }
  return providerName(enabledProviders(config).find((one) => one.id === id) ?? left)
}

const hostOf = (issuer: string | undefined): string | undefined =>
  issuer !== undefined && URL.canParse(issuer) ? new URL(issuer).host : undefined

const button = (provider: Provider): ProviderName => ({
  id: provider.id,
  name: providerName(provider),
  ...(provider.brand_name !== undefined && { brand: provider.brand_name.toLowerCase() }),
})

/** The providers as buttons. */
export const providerButtons = (config: Pick<Config, 'upstream_oauth2'>): ProviderName[] =>
  enabledProviders(config).map(button)

/** Those of them through which people may create accounts (`allow_registration`). */
export const signUpButtons = (config: Pick<Config, 'upstream_oauth2'>): ProviderName[] =>
  enabledProviders(config)
    .filter(({ allow_registration }) => allow_registration)
    .map(button)

/** Whether somebody without an account can get one here: with a password, or through a provider. */
export const signUpOffered = (config: Config): boolean =>
  registrationEnabled(config) || signUpButtons(config).length > 0
