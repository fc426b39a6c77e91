import {
  AutoDiscovery,
  AutoDiscoveryAction,
  createClient,
  type MatrixClient,
  OAuth2,
  RoomEvent,
  type ValidatedAuthMetadata,
} from 'matrix-js-sdk'
import { logger } from 'matrix-js-sdk/lib/logger.js'

// Parts of the SDK know only its own logger, which writes to the console.
;(logger as unknown as { setLevel(level: string, persist: boolean): void }).setLevel('silent', false)

/** How long a message, or a change to the devices, may take to arrive, in milliseconds. */
const PATIENCE_MS = 30_000
const PAUSE_MS = 200

/** The SDK tells what it does on the console unless it is given something else. */
export const SILENT = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  getChild: () => SILENT,
}

/** What a client finds out about a homeserver before anybody signs in. */
export interface Discovered {
  /** Of the homeserver. */
  baseUrl: string
  /** What `/.well-known/matrix/client` says about the accounts (MSC2965). */
  wellKnown: { issuer?: string; account?: string }
  /** What Synapse says at `/_matrix/client/v1/auth_metadata`, as the SDK validated it. */
  metadata: ValidatedAuthMetadata
}

/** Discovers as the SDK does, from the document that the server name's web server hands out at `address`. */
export async function discover(address: string): Promise<Discovered> {
  const response = await fetch(`${address}/.well-known/matrix/client`)
  // The SDK itself asks only `https://<server name>`, which a test does not have; from here on all is its own.
  const document = (await response.json()) as Record<string, Discovered['wellKnown']>
  const { 'm.homeserver': homeserver } = await AutoDiscovery.fromDiscoveryConfig(document)
  if (homeserver.state !== AutoDiscoveryAction.SUCCESS || !homeserver.base_url)
    throw new Error(`Discovery failed: ${homeserver.error}`)
  const client = createClient({ baseUrl: homeserver.base_url, logger: SILENT })
  return {
    baseUrl: homeserver.base_url,
    wellKnown: document['org.matrix.msc2965.authentication'] ?? {},
    metadata: await client.getAuthMetadata(),
  }
}

/** The home page of every application of the tests: registrations need one, on the host of their redirect URIs. */
export const CLIENT_URI = 'https://app.example.com/'

/** A registered application. */
export interface App extends Discovered {
  clientId: string
  name: string
  redirectUri: string
}

/** Registers an application through the SDK. */
export async function registerApp(
  server: Discovered,
  options: { name: string; redirectUri: string; type: 'web' | 'native' },
): Promise<App> {
  const { name, redirectUri } = options
  const clientId = await OAuth2.registerClient(
    server.metadata,
    {
      client_name: name,
      client_uri: CLIENT_URI,
      application_type: options.type,
      redirect_uris: [redirectUri],
    },
    SILENT,
  )
  return { ...server, clientId, name, redirectUri }
}

/** A sign-in that is under way in a browser. */
export interface SignIn {
  /** What the browser opens. */
  url: string
  state: string
  /** Takes the address that the browser came back to, exchanges its code and gives the signed-in device. */
  finish(callback: URL): Promise<Device>
}

/** One device of a person. */
export interface Device {
  client: MatrixClient
  id: string
  clientId: string
  oauth: OAuth2
  /** The tokens as they are now, also after the SDK has refreshed them. */
  tokens: Login
}

/** What an application keeps of a sign-in. */
export interface Login {
  userId: string
  accessToken: string
  refreshToken: string
}

/**
 * Begins a sign-in of `app`. `scope` replaces the SDK's own (the Matrix API and a new device). The answer comes in the
 * query, as a native application and a server can read it, unless `responseMode` says `fragment`.
 */
export async function beginSignIn(
  app: App,
  options: {
    prompt?: string
    scope?: string
    redirectUri?: string
    responseMode?: 'fragment' | 'query'
  } = {},
): Promise<SignIn> {
  const oauth = new OAuth2(app.metadata, { clientId: app.clientId }, SILENT)
  const state = crypto.randomUUID()
  const redirectUri = options.redirectUri ?? app.redirectUri
  const url = await oauth.generateAuthorizationCodeGrantUrl(
    state,
    redirectUri,
    options.responseMode ?? 'query',
    options.prompt,
    options.scope,
  )
  return {
    url,
    state,
    async finish(callback) {
      const code = readCallback(callback, state)
      const tokens = await oauth.completeAuthorizationCodeGrant(code, redirectUri)
      if (!tokens.refresh_token) throw new Error('There is no refresh token in the answer.')
      const { access_token: accessToken, refresh_token: refreshToken } = tokens
      const client = createClient({ baseUrl: app.baseUrl, accessToken, logger: SILENT })
      const { user_id: userId } = await client.whoami()
      return openDevice(app, oauth, { userId, accessToken, refreshToken })
    },
  }
}

/** The code of an authorization response (RFC 6749 section 4.1.2); throws for an error and for another state. */
export function readCallback(callback: URL, state: string): string {
  const answer = callback.hash ? new URLSearchParams(callback.hash.slice(1)) : callback.searchParams
  const code = answer.get('code')
  if (!code || answer.get('state') !== state) throw new Error(`Not the answer of this sign-in: ${callback}`)
  return code
}

/** A client with these tokens, which refreshes them by itself as applications do. */
export function openDevice(app: App, oauth: OAuth2, login: Login): Device {
  const kept = { ...login }
  const id = oauth.context.deviceId
  const client = createClient({
    baseUrl: app.baseUrl,
    ...login,
    deviceId: id,
    logger: SILENT,
    oauthClientId: app.clientId,
    onTokenRefresh(fresh) {
      kept.accessToken = fresh.accessToken
      kept.refreshToken = fresh.refreshToken ?? kept.refreshToken
    },
  })
  return { client, id, clientId: app.clientId, oauth, tokens: kept }
}

/** Device ids that Synapse has for this person, once `settled` is true of them or 30 seconds have passed. */
export async function devicesOnce(
  client: MatrixClient,
  settled: (ids: string[]) => boolean,
): Promise<string[]> {
  for (let waited = 0; ; waited += PAUSE_MS) {
    const { devices } = await client.getDevices()
    const ids = devices.map((device) => device.device_id).sort()
    if (settled(ids) || waited >= PATIENCE_MS) return ids
    await Bun.sleep(PAUSE_MS)
  }
}

/** Waits until a message `text` comes over sync, at most 30 seconds. Starts and stops the syncing. */
export async function readMessage(client: MatrixClient, text: string): Promise<{ sender: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ sender: string }>()
  client.on(RoomEvent.Timeline, (event) => {
    if (event.getContent().body === text) resolve({ sender: event.getSender() ?? '' })
  })
  const timer = setTimeout(() => reject(new Error(`The message "${text}" did not arrive.`)), PATIENCE_MS)
  await client.startClient({ initialSyncLimit: 10 })
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    client.stopClient()
  }
}
