import type { Config } from '../../config/schema.ts'

/** How one call may be limited. Without it each call has the deadline of its kind (10 s; deleting a user 60 s). */
export interface CallOptions {
  /** Gives the call up early. */
  signal?: AbortSignal
  /** Milliseconds until the call is given up. */
  timeoutMs?: number
  /** A page can do without the answer: it waits a second at most, and not at all while such calls fail. */
  optional?: boolean
}

/** What the homeserver knows of a user. */
export interface HomeserverUser {
  displayName?: string
  avatarUrl?: string
  suspended: boolean
  deactivated: boolean
}

/** A picture: its bytes, and their media type. */
export interface Picture {
  type: string
  bytes: Uint8Array<ArrayBuffer>
}

/** A user as the homeserver should have it. For the names `null` unsets and `undefined` leaves as it is. */
export interface ProvisionRequest {
  localpart: string
  /** The `sub` of the account, for homeservers that keep it. Only `synapse_legacy` sends it. */
  sub: string
  displayName?: string | null
  avatarUrl?: string | null
  /** The complete list of addresses: those left out are removed there (edge 39). */
  emails?: string[]
  /** Always sent: the homeserver takes a missing flag for "leave" (edge 39). */
  locked: boolean
}

/**
 * What Latchkey needs of a homeserver. Every function throws HomeserverError, and none may be called inside a database
 * transaction (decision 9). A lost connection is tried again at once; what takes longer is the jobs' to repeat.
 */
export interface Homeserver {
  kind: 'synapse' | 'synapse_legacy' | 'synapse_read_only' | 'standalone'
  /** The part of a Matrix id after the colon. */
  serverName: string
  /** The full Matrix id of a localpart. */
  mxid(localpart: string): string
  /** The user, or undefined when the homeserver has none of that name. */
  queryUser(localpart: string, options?: CallOptions): Promise<HomeserverUser | undefined>
  /** Whether a new user may take the name. Names outside ASCII may not, and the homeserver is not asked. */
  isLocalpartAvailable(localpart: string, options?: CallOptions): Promise<boolean>
  /** Creates or updates the user; `created` is true when it is new there. */
  provisionUser(user: ProvisionRequest, options?: CallOptions): Promise<{ created: boolean }>
  /**
   * Makes the device exist; an existing one keeps its keys and takes the name, if one is given. `created` is true when
   * it was not there.
   */
  upsertDevice(
    localpart: string,
    deviceId: string,
    displayName?: string,
    options?: CallOptions,
  ): Promise<{ created: boolean }>
  updateDeviceDisplayName(
    localpart: string,
    deviceId: string,
    displayName: string,
    options?: CallOptions,
  ): Promise<void>
  /** Removes the device; one that is gone already is no error. */
  deleteDevice(localpart: string, deviceId: string, options?: CallOptions): Promise<void>
  /** Makes the user's devices exactly these. A list that lacks one deletes it with its keys (edge 38). */
  syncDevices(localpart: string, deviceIds: readonly string[], options?: CallOptions): Promise<void>
  /** Deactivates the user; `erase` also asks the homeserver to hide what the user wrote. */
  deleteUser(localpart: string, erase: boolean, options?: CallOptions): Promise<void>
  reactivateUser(localpart: string, options?: CallOptions): Promise<void>
  setDisplayName(localpart: string, displayName: string, options?: CallOptions): Promise<void>
  unsetDisplayName(localpart: string, options?: CallOptions): Promise<void>
  /** Gives the user a picture that is kept at an `mxc:` address; null takes it away. */
  setAvatarUrl(localpart: string, uri: string | null, options?: CallOptions): Promise<void>
  /** Keeps a picture in the name of whoever the access token is of; gives its `mxc:` address. */
  uploadMedia(token: string, picture: Picture, options?: CallOptions): Promise<string>
  /**
   * A picture that is kept at an `mxc:` address, made smaller (96 pixels square); undefined when there is none. What it
   * says of its type is not checked.
   */
  thumbnail(token: string, uri: string, options?: CallOptions): Promise<Picture | undefined>
  /** Lets the user replace their cross-signing keys without further proof, for 10 minutes. */
  allowCrossSigningReset(localpart: string, options?: CallOptions): Promise<void>
}

/** A `fetch`, real or fake. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** The `matrix` section of the configuration. */
export type MatrixSettings = Config['matrix']

/**
 * Why a call failed:
 * - `unreachable`: no usable answer (no connection, the deadline, overload, a 5xx, nonsense); later may work.
 * - `refused`: it is there but does not take us (wrong secret, the API is not switched on, Latchkey is read-only
 *   by configuration); someone has to change a configuration.
 * - `rejected`: it understood and said no, for example 404 for a user that it does not have.
 */
export type HomeserverErrorKind = 'unreachable' | 'refused' | 'rejected'

/** A failed call. The message is for the log: it names the call and the answer, never the secret. */
export class HomeserverError extends Error {
  override readonly name = 'HomeserverError'
  readonly kind: HomeserverErrorKind
  /** The HTTP status, when there was an answer. */
  readonly status: number | undefined
  /** The Matrix error code, when the answer had one. */
  readonly errcode: string | undefined

  constructor(
    kind: HomeserverErrorKind,
    message: string,
    details: { status?: number | undefined; errcode?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.kind = kind
    this.status = details.status
    this.errcode = details.errcode
  }
}
