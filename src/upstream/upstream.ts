import type { Config } from '../config/schema.ts'
import type { PublicFetchOptions } from '../http/fetch-public.ts'
import { createOutgoingFetch, type ProxyOf } from '../http/outgoing.ts'
import { providerFaults } from '../identity/provider-faults.ts'
import { enabledProviders, type Provider } from '../identity/providers.ts'
import type { Clock } from '../lib/clock.ts'
import { isRecord } from '../lib/record.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { createKeySets, type KeySet, parseKeySet } from '../oauth/client-keys.ts'
import { type ClaimTemplates, createClaimTemplates } from '../render/claim-templates.ts'
import type { Log } from '../telemetry/log.ts'
import { type Ask, createAsk } from './ask.ts'
import { holds } from './claims.ts'
import { createMetadataCache, type MetadataCache } from './metadata.ts'
import { ProviderError } from './provider-error.ts'
import type { ProviderSaid } from './way.ts'

/** The providers, and how they are reached. */
export interface Upstream {
  /** The provider of an id (ULID, in either case), if people may sign in with it. */
  provider(id: string): Provider | undefined
  /** The same for somebody who comes with an id: one that another process made a moment ago is looked for. */
  providerNow(id: string): Promise<Provider | undefined>
  metadata: MetadataCache
  ask: Ask
  /** The keys that a provider signs with; `fresh` as for the keys of clients. @throws ProviderError */
  keys(provider: Provider, fresh?: boolean): Promise<KeySet>
  templates: ClaimTemplates
  /** Whether somebody may administer by what a provider said of them (`admin_if`); undefined where that says nothing. */
  isAdmin(providerId: string, said: unknown): boolean | undefined
}

/** Builds what one process needs to talk to the providers; asks none of them yet. */
export function createUpstream({
  config,
  clock,
  log,
  proxyOf,
  publicFetch,
  refresh = async () => {},
}: {
  config: Config
  clock: Clock
  log: Log
  proxyOf: ProxyOf
  publicFetch: Pick<PublicFetchOptions, 'allows' | 'ca' | 'proxyOf'>
  /** Reads anew what the admin API made. */
  refresh?: () => Promise<void>
}): Upstream {
  const ask = createAsk(createOutgoingFetch(proxyOf), publicFetch)
  const metadata = createMetadataCache({ clock, ask, log })
  const sets = createKeySets(clock)
  const find = (id: string) => enabledProviders(config).find((provider) => provider.id === id.toUpperCase())
  const upstream: Upstream = {
    // Asked each time: the admin API makes and removes some while we run.
    provider: find,
    async providerNow(id) {
      const known = find(id)
      if (known || uuidFromUlid(id) === undefined) return known
      await refresh()
      return find(id)
    },
    metadata,
    ask,
    async keys(provider, fresh) {
      const { jwksUri } = await metadata.of(provider)
      if (!jwksUri) throw new ProviderError('failed', 'there is no jwks_uri')
      const load = async () => {
        const { status, body, maxAge } = await ask(provider, jwksUri, { method: 'GET' })
        if (status !== 200) throw new ProviderError('unreachable', `jwks_uri answered ${status}`)
        try {
          return { set: parseKeySet(body), maxAge }
        } catch (cause) {
          throw new ProviderError('failed', 'jwks_uri did not answer a key set', { cause })
        }
      }
      // Under the provider too: what one may be asked for another may not.
      return sets.at(`${provider.id} ${jwksUri.href}`, load, fresh)
    },
    templates: createClaimTemplates(),
    isAdmin(providerId, said) {
      const provider = upstream.provider(providerId)
      if (!provider || !isRecord(said)) return undefined
      return holds({ config, upstream, log }, provider, 'admin_if', said as unknown as ProviderSaid)
    },
  }
  return upstream
}

/** What is wrong with the templates and expressions of the providers, a sentence each: for the start. */
export function templateFaults({ templates }: Pick<Upstream, 'templates'>, config: Config): string[] {
  return enabledProviders(config).flatMap((provider) =>
    providerFaults(provider, templates).map(
      ({ key, fault }) =>
        `upstream_oauth2.providers, ${provider.id}: ${key} cannot be read and never holds: ${fault}`,
    ),
  )
}
