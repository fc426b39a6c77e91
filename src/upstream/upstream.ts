import type { Config } from '../config/schema.ts'
import type { PublicFetchOptions } from '../http/fetch-public.ts'
import { createOutgoingFetch, type ProxyOf } from '../http/outgoing.ts'
import { enabledProviders, type Provider } from '../identity/providers.ts'
import type { Clock } from '../lib/clock.ts'
import { isRecord } from '../lib/record.ts'
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
}: {
  config: Config
  clock: Clock
  log: Log
  proxyOf: ProxyOf
  publicFetch: Pick<PublicFetchOptions, 'allows' | 'ca' | 'proxyOf'>
}): Upstream {
  const providers = new Map(enabledProviders(config).map((provider) => [provider.id, provider]))
  const ask = createAsk(createOutgoingFetch(proxyOf), publicFetch)
  const metadata = createMetadataCache({ clock, ask, log })
  const sets = createKeySets(clock)
  const upstream: Upstream = {
    provider: (id) => providers.get(id.toUpperCase()),
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
  return enabledProviders(config).flatMap((provider) => {
    const { subject, localpart, displayname, email, account_name } = provider.claims_imports
    const condition = (text: string | undefined) => text && `{% if ${text} %}{% endif %}`
    const named: [name: string, template: string | undefined][] = [
      ['claims_imports.subject.template', subject.template],
      ['claims_imports.localpart.template', localpart.template],
      ['claims_imports.displayname.template', displayname.template],
      ['claims_imports.email.template', email.template],
      ['claims_imports.account_name.template', account_name.template],
      ['allow_if', condition(provider.allow_if)],
      ['admin_if', condition(provider.admin_if)],
      ...Object.entries(provider.additional_authorization_parameters ?? {}).map(
        ([name, template]): [string, string] => [`additional_authorization_parameters.${name}`, template],
      ),
    ]
    return named.flatMap(([name, template]) => {
      const fault = template === undefined ? undefined : templates.fault(template)
      return fault === undefined
        ? []
        : [`upstream_oauth2.providers, ${provider.id}: ${name} cannot be read and never holds: ${fault}`]
    })
  })
}
