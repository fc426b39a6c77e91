import { contains, parseIp, parseNetwork } from '../lib/ip.ts'

/** The `outgoing` section of the configuration. */
export interface OutgoingSettings {
  readonly https_proxy?: string | undefined
  readonly http_proxy?: string | undefined
  readonly no_proxy: readonly string[]
}

/** The proxy for an address; undefined when it is reached directly. */
export type ProxyOf = (url: URL) => string | undefined

const LOOPBACK = ['127.0.0.0/8', '::1/128']

/**
 * Which proxy an address goes through. This machine is never reached through one, whatever is configured: a proxy
 * could not, and would learn the secret of the homeserver.
 */
export function createProxyOf({ https_proxy, http_proxy, no_proxy }: OutgoingSettings): ProxyOf {
  const direct = [...no_proxy, ...LOOPBACK, 'localhost'].map(createMatcher)
  return (url) => {
    const proxy = url.protocol === 'https:' ? https_proxy : http_proxy
    if (proxy === undefined || direct.some((matches) => matches(url))) return undefined
    return proxy
  }
}

/** One entry of `no_proxy`: `*`, a name with everything below it, an address or a network; with a port only that. */
function createMatcher(entry: string): (url: URL) => boolean {
  if (entry === '*') return () => true
  const network = parseNetwork(entry) ?? parseNetwork(unbracketed(entry))
  if (network) {
    return (url) => {
      const address = parseIp(unbracketed(url.hostname))
      return address !== undefined && contains(network, address)
    }
  }
  const [, name = entry, port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? []
  const host = name.replace(/^\*?\./, '').toLowerCase()
  return (url) => {
    if (port !== undefined && port !== portOf(url)) return false
    return url.hostname === host || url.hostname.endsWith(`.${host}`)
  }
}

const unbracketed = (host: string): string => host.replace(/^\[|\]$/g, '')

const portOf = (url: URL): string => url.port || (url.protocol === 'https:' ? '443' : '80')

/** A `fetch` that goes through the proxies of the configuration. */
export function createOutgoingFetch(proxyOf: ProxyOf) {
  return (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input)
    // `false`: otherwise Bun reads the variables itself, and would send what is for this machine to the proxy too.
    return fetch(input, { ...init, proxy: proxyOf(url) ?? false } as RequestInit)
  }
}

/** A `fetch` for what runs on this machine, whatever the variables of the process say. */
export const fetchLocal = createOutgoingFetch(() => undefined)
