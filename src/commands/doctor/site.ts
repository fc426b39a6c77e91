import type { Config } from '../../config/schema.ts'
import { createUrls, type Urls } from '../../http/urls.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { type Answer, type Reach, whyNot } from './reach.ts'

/** What a request came to: an answer, or why there is none. */
export type Heard =
  | { url: URL; answer: Answer; why?: undefined }
  | { url: URL; answer?: undefined; why: string }

/** A deployment that is looked at. What several checks need is asked for once. */
export interface Site {
  config: Config
  urls: Urls
  reach: Reach
  clock: Clock
  random: Random
  /** Whether the server should run by now: before its first start, what only a server does is no failure. */
  running: boolean
  /** The host of the deployment domain: the server name without a port. */
  domain: string
  /** `/.well-known/matrix/client` of the deployment domain. */
  wellKnown(): Promise<Heard>
  /** Where clients reach the homeserver: what was said, else what the document above says; ends with a slash. */
  homeserver(): Promise<URL | undefined>
  /** The discovery document, at the issuer. */
  discovery(): Promise<Heard>
  /** The document of the same kind by way of the homeserver at `matrix.endpoint`. */
  metadata(): Promise<Heard>
}

/** How often a redirect is followed; browsers follow 20. */
const REDIRECTS = 5

/** The deployment of a configuration. `homeserver`: where clients reach it, when somebody said so. */
export function createSite(
  parts: Pick<Site, 'config' | 'reach' | 'clock' | 'random' | 'running'>,
  homeserver: URL | undefined,
): Site {
  const { config, reach } = parts
  const urls = createUrls(config.http)
  const domain = hostOf(config.matrix.homeserver)
  const wellKnown = once(() => get(reach, new URL(`https://${domain}/.well-known/matrix/client`)))
  return {
    ...parts,
    urls,
    domain,
    wellKnown,
    homeserver: once(async () => homeserver ?? baseUrlOf((await wellKnown()).answer?.json)),
    discovery: once(() => get(reach, new URL('.well-known/openid-configuration', slashed(urls.issuer)))),
    metadata: once(async () => authMetadata(reach, slashed(config.matrix.endpoint))),
  }
}

/**
 * The document in which the homeserver says who signs people in (MSC2965), at its address; releases before Matrix 1.15
 * have it under another path.
 */
export async function authMetadata(reach: Reach, base: URL): Promise<Heard> {
  const stable = await get(reach, new URL('_matrix/client/v1/auth_metadata', base))
  if (stable.answer?.status !== 404) return stable
  const earlier = await get(reach, new URL('_matrix/client/unstable/org.matrix.msc2965/auth_metadata', base))
  return earlier.answer?.status === 200 ? earlier : stable
}

/** GETs a document, through redirects. Never throws. */
export async function get(reach: Reach, url: URL): Promise<Heard> {
  let at = url
  for (let redirects = 0; redirects <= REDIRECTS; redirects++) {
    const heard = await send(reach, at, { headers: { accept: 'application/json' } })
    const { status = 0, headers } = heard.answer ?? {}
    const location = headers?.get('location')
    if (status < 300 || status >= 400 || !location || !URL.canParse(location, at)) return heard
    at = new URL(location, at)
  }
  return { url, why: 'too many redirects' }
}

/** Sends one request. Never throws. */
export async function send(reach: Reach, url: URL, init?: RequestInit): Promise<Heard> {
  try {
    return { url, answer: await reach.send(url, init) }
  } catch (error) {
    return { url, why: whyNot(error) }
  }
}

/** What somebody reads of it: `no answer in time`, `404 M_UNRECOGNIZED`. */
export function said({ answer, why }: Heard): string {
  if (!answer) return why
  const errcode = memberOf(answer.json, 'errcode')
  return typeof errcode === 'string' && /^[A-Z_]{1,60}$/.test(errcode)
    ? `${answer.status} ${errcode}`
    : String(answer.status)
}

/** A member of a JSON object; undefined when there is none, or no object. */
export const memberOf = (json: unknown, name: string): unknown =>
  typeof json === 'object' && json !== null ? (json as Record<string, unknown>)[name] : undefined

/** `m.homeserver.base_url` of a well-known document, with a slash at its end. */
export function baseUrlOf(json: unknown): URL | undefined {
  const text = memberOf(memberOf(json, 'm.homeserver'), 'base_url')
  if (typeof text !== 'string' || !/^https?:\/\//.test(text) || !URL.canParse(text)) return undefined
  return slashed(text)
}

/** The address with a slash at its end, so that paths can be put behind it. */
export function slashed(text: string | URL): URL {
  const url = new URL(text)
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

/** A host that means this machine: nobody else can reach it. */
export const isThisMachine = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host)

/** The host of a server name, which may have a port. */
const hostOf = (serverName: string): string => serverName.replace(/:\d+$/, '').toLowerCase()

/** Runs `fn` at the first call, and gives the same to every caller. */
export function once<T>(fn: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= fn()
    return running
  }
}
