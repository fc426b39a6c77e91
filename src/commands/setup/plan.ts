import { CommandError } from '../context.ts'

/** Where the parts of a deployment are, as somebody decided. */
export interface Plan {
  /** The deployment domain: what stands after the colon in Matrix ids. */
  domain: string
  /** Where clients reach the homeserver. */
  homeserver: URL
  /** Where people and apps reach Latchkey; its path ends with a slash. */
  latchkey: URL
  /** The name under which Latchkey signs: its address, or the deployment domain. */
  issuer: URL
  /** Where Latchkey and the web server reach Synapse; no slash at its end. */
  synapse: string
  /** Where Latchkey listens, for the web server and Synapse. */
  listen: { host: string; port: number }
  database: string | undefined
}

/** What was asked for, as text. */
export interface Wishes {
  domain: string
  homeserverUrl: string
  url: string
  issuerOnDomain: boolean
  homeserverEndpoint: string
  listen: string
  database?: string | undefined
}

/** A host name as it may stand in the configuration of a web server. */
const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/

/** The plan for what was asked for. @throws CommandError that names what can't be planned */
export function planOf(wishes: Wishes): Plan {
  const domain = wishes.domain.trim().toLowerCase()
  if (!HOST.test(domain))
    throw new CommandError(
      `${wishes.domain} is not a domain such as example.org: it is what stands after the colon in Matrix ids.`,
    )
  const homeserver = publicAddress('The address of the homeserver', wishes.homeserverUrl)
  if (homeserver.pathname !== '/')
    throw new CommandError(
      `Clients reach a homeserver at a host of its own or at /_matrix of another: leave the path out of ${homeserver}.`,
    )
  const latchkey = publicAddress('The address of Latchkey', wishes.url)
  if (/^\/(_matrix|_synapse|\.well-known)\//.test(latchkey.pathname))
    throw new CommandError(
      `${latchkey} lies below a path that belongs to Matrix; choose another one, such as ${latchkey.origin}/auth/`,
    )
  return {
    domain,
    homeserver,
    latchkey,
    issuer: wishes.issuerOnDomain ? new URL(`https://${domain}/`) : latchkey,
    synapse: localAddress(wishes.homeserverEndpoint),
    listen: bindOf(wishes.listen),
    database: databaseOf(wishes.database),
  }
}

function publicAddress(what: string, text: string): URL {
  const full = text.includes('://') ? text : `https://${text}`
  const url = URL.canParse(full) ? new URL(full) : undefined
  const plain =
    url?.protocol === 'https:' &&
    url.port === '' &&
    url.username === '' &&
    url.search === '' &&
    url.hash === ''
  if (!plain || !HOST.test(url.hostname) || !/^(\/[\w.~-]+)*\/?$/.test(url.pathname))
    throw new CommandError(`${what} is not one such as https://auth.example.org/ (https, no port): ${text}`)
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function localAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.username !== ''
  )
    throw new CommandError(
      `${text} is not an address such as http://localhost:8008/, where Latchkey reaches Synapse.`,
    )
  return url.origin
}

function bindOf(text: string): Plan['listen'] {
  const [, host = '', port = ''] = /^([a-z0-9.-]+|\[[\da-f:]+\]):(\d{1,5})$/i.exec(text) ?? []
  if (host === '' || Number(port) < 1 || Number(port) > 65_535)
    throw new CommandError(
      `${text} is not a host and a port, such as localhost:8080, where Latchkey listens.`,
    )
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function databaseOf(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  if (!/^postgres(ql)?:\/\/\S+$/.test(text))
    throw new CommandError('The database is not named as postgresql://user:password@host/name.')
  return text
}

/**
 * Where the web server reaches Synapse; no slash at its end. nginx would try the IPv6 address of `localhost` first, and
 * what a container calls the host is this machine for the web server.
 */
export const synapseAddress = ({ synapse }: Plan): string =>
  synapse.replace(/\/\/(localhost|host\.docker\.internal)(?=:|$)/, '//127.0.0.1')

/** Everybody on this machine reaches it, nobody else does. */
export const listensLocally = ({ listen }: Plan): boolean => /^(localhost|127\.|::1$)/.test(listen.host)

/** Where the web server and Synapse reach Latchkey; no slash at its end. */
export function latchkeyAddress({ listen: { host, port } }: Plan): string {
  const everywhere = host === '0.0.0.0' || host === '::'
  const name = everywhere || host === 'localhost' ? '127.0.0.1' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
