import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { fetchLocal } from '../../http/outgoing.ts'
import { CommandError } from '../context.ts'
import { reasonOf } from '../explain.ts'

/** Milliseconds for one answer of the server. */
const TIMEOUT = 20_000

const Metadata = TypeCompiler.Compile(
  Type.Object({
    issuer: Type.String(),
    token_endpoint: Type.String(),
    device_authorization_endpoint: Type.Optional(Type.String()),
    revocation_endpoint: Type.Optional(Type.String()),
  }),
)
const Issued = Type.Object({
  access_token: Type.String({ pattern: '^[\\x21-\\x7e]+$' }),
  expires_in: Type.Optional(Type.Number({ minimum: 0 })),
  refresh_token: Type.Optional(Type.String({ minLength: 1 })),
  scope: Type.Optional(Type.String()),
})
const IssuedCheck = TypeCompiler.Compile(Issued)
/** A successful answer of the token endpoint (RFC 6749 section 5.1). */
export type Issued = Static<typeof Issued>

/** A server that gives tokens, as its discovery document describes it. */
export interface AuthorizationServer {
  tokenEndpoint: URL
  deviceEndpoint: URL | undefined
  revocationEndpoint: URL | undefined
}

/** What an endpoint answered, as `error` (RFC 6749 section 5.2) or as `body`. */
export type Answer = { error: string; description: string } | { error?: undefined; body: unknown }

const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)

/**
 * The address of a server as somebody types it: `https://auth.example.org/`, or the host name alone.
 *
 * @throws CommandError for anything that would send secrets in clear text over a network
 */
export function serverAddress(typed: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `https://${typed}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url?.hostname || url.username !== '' || url.search !== '' || url.hash !== '')
    throw new CommandError(`${typed} is not the address of a server, such as https://auth.example.org/.`)
  requireSafe(url)
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function requireSafe(url: URL): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return
  throw new CommandError(
    `${url.origin} would get tokens in clear text; use an https address (http is for this machine only).`,
  )
}

/** Reads the discovery document of a server (OpenID Connect Discovery 1.0 section 4). @throws CommandError */
export async function discover(server: URL, signal: AbortSignal): Promise<AuthorizationServer> {
  const url = new URL('.well-known/openid-configuration', server)
  const response = await send(url, { headers: { accept: 'application/json' } }, signal)
  const body = await bodyOf(response)
  if (!response.ok || !Metadata.Check(body))
    throw new CommandError(
      `${url} answers ${response.status} and no discovery document; give the address that http.public_base of the server has.`,
    )
  return {
    tokenEndpoint: endpoint(body.token_endpoint),
    deviceEndpoint: optionalEndpoint(body.device_authorization_endpoint),
    revocationEndpoint: optionalEndpoint(body.revocation_endpoint),
  }
}

function endpoint(text: string): URL {
  if (!URL.canParse(text)) throw new CommandError('The discovery document of the server is not valid.')
  const url = new URL(text)
  requireSafe(url)
  return url
}

const optionalEndpoint = (text: string | undefined): URL | undefined =>
  text === undefined ? undefined : endpoint(text)

/** How a client shows who it is. */
export interface Credentials {
  clientId: string
  secret?: string
  /** Where the secret goes (RFC 6749 section 2.3.1); in the header unless given. */
  method?: 'basic' | 'post'
}

/** Posts a form to an endpoint as a client. @throws CommandError when the server can't be reached or is out of order */
export async function post(
  url: URL,
  fields: Record<string, string>,
  { clientId, secret, method = 'basic' }: Credentials,
  signal: AbortSignal,
): Promise<Answer> {
  const basic = secret !== undefined && method === 'basic'
  const form = new URLSearchParams({
    ...fields,
    ...(!basic && { client_id: clientId }),
    ...(!basic && secret !== undefined && { client_secret: secret }),
  })
  const pair = [clientId, secret ?? ''].map((part) => new URLSearchParams([['', part]]).toString().slice(1))
  const headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    ...(basic && { authorization: `Basic ${new TextEncoder().encode(pair.join(':')).toBase64()}` }),
  }
  const response = await send(url, { method: 'POST', headers, body: form.toString() }, signal)
  const body = await bodyOf(response)
  if (response.ok) return { body }
  const { error, error_description: description } = (body ?? {}) as Record<string, unknown>
  if (typeof error !== 'string' || response.status >= 500 || response.status === 429)
    throw new CommandError(`${url} answers ${response.status}; try again in a moment.`)
  return {
    error: printable(error),
    description: printable(typeof description === 'string' ? description : ''),
  }
}

/** The answer of the token endpoint. @throws CommandError when it is none */
export function issuedOf(body: unknown): Issued {
  if (!IssuedCheck.Check(body)) throw new CommandError('The server answered something that is not a token.')
  return body
}

async function send(url: URL, init: RequestInit, signal: AbortSignal): Promise<Response> {
  try {
    // Never followed elsewhere: a secret is sent where the person said, and nowhere else.
    return await (isLoopback(url) ? fetchLocal : fetch)(url, {
      ...init,
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
    })
  } catch (cause) {
    if (signal.aborted) throw new CommandError('Interrupted.', { cause })
    throw new CommandError(`${url.origin} can't be reached (${reasonOf(cause)}).`, { cause })
  }
}

const bodyOf = (response: Response): Promise<unknown> => response.json().catch(() => undefined)

/** What a server said, without anything that a terminal would obey. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, 500)
