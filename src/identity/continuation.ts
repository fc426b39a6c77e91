import type { Params } from '../http/params.ts'
import { uuidFromUlid } from '../lib/ulid.ts'

/**
 * Where a person goes after signing in: a typed action in the query, never a URL, so it cannot lead elsewhere
 * (reference 1.4). `text` is the query that pages carry on, '' for none.
 */
export interface Continuation {
  text: string
  /** The authorization request to go on with, as a uuid. */
  grantId: string | undefined
  /** The request of a device to go on with, as a uuid. */
  deviceGrantId?: string
  /** The login of a legacy client to go on with, as a uuid. */
  compatLoginId?: string
  /** The identity at a provider to link, or to sign in with, as a uuid. */
  upstreamLinkId?: string
  /** The path (without prefix) to go to. */
  path: string
}

/** Actions of the account page; anything else is dropped. */
const ACCOUNT_ACTION = /^[a-z_.]{1,60}$/
/** A page of the account area: plain segments only, so nothing climbs out of it. */
const ACCOUNT_PAGE = /^[\w-]+(\/[\w-]+)*$/
const ACCOUNT_PAGE_LENGTH = 150
const DEVICE_ID = /^[\x21-\x7e]{1,255}$/

const isAccountPage = (page: string): boolean => page.length <= ACCOUNT_PAGE_LENGTH && ACCOUNT_PAGE.test(page)

/** Reads a continuation from a query or form. What cannot be understood is dropped: the person lands on `/`. */
export function readContinuation(params: Params): Continuation {
  const { kind, id = '' } = params
  const uuid = uuidFromUlid(id)
  if (kind === 'continue_authorization_grant' && uuid !== undefined) {
    const ulid = id.toUpperCase()
    return { text: `kind=${kind}&id=${ulid}`, grantId: uuid, path: `/consent/${ulid}` }
  }
  if (kind === 'continue_device_code_grant' && uuid !== undefined) {
    const ulid = id.toUpperCase()
    return {
      text: `kind=${kind}&id=${ulid}`,
      grantId: undefined,
      deviceGrantId: uuid,
      path: `/device/${ulid}`,
    }
  }
  if (kind === 'continue_compat_sso_login' && uuid !== undefined) {
    const ulid = id.toUpperCase()
    return {
      text: `kind=${kind}&id=${ulid}`,
      grantId: undefined,
      compatLoginId: uuid,
      path: `/complete-compat-sso/${ulid}`,
    }
  }
  if (kind === 'link_upstream' && uuid !== undefined) {
    const ulid = id.toUpperCase()
    return {
      text: `kind=${kind}&id=${ulid}`,
      grantId: undefined,
      upstreamLinkId: uuid,
      path: `/upstream/link/${ulid}`,
    }
  }
  if (kind === 'manage_account' && params.page !== undefined && isAccountPage(params.page))
    return { text: `kind=${kind}&page=${params.page}`, grantId: undefined, path: `/account/${params.page}` }
  if (kind === 'manage_account') {
    const query = new URLSearchParams()
    if (params.action !== undefined && ACCOUNT_ACTION.test(params.action)) query.set('action', params.action)
    if (params.device_id !== undefined && DEVICE_ID.test(params.device_id))
      query.set('device_id', params.device_id)
    const rest = query.size > 0 ? `?${query}` : ''
    return {
      text: `kind=${kind}${query.size > 0 ? `&${query}` : ''}`,
      grantId: undefined,
      path: `/account/${rest}`,
    }
  }
  return { text: '', grantId: undefined, path: '/' }
}

/**
 * Whether an app of another origin may have opened the pages on this way and waits for the message of the last one: the
 * reset of cross-signing keys (the `onAuthDone` contract of the Matrix specification).
 */
export const keepsOpener = ({ path }: Pick<Continuation, 'path'>): boolean =>
  /^\/account\/(reset-cross-signing|\?action=org\.matrix\.cross_signing_reset)/.test(path)

/** A path of ours with the continuation as its query. */
export const withContinuation = (path: string, continuation: Continuation): string =>
  continuation.text === '' ? path : `${path}?${continuation.text}`

/** A continuation as a row keeps it: its text. */
export const storedContinuation = (text: string): Continuation =>
  readContinuation(Object.fromEntries(new URLSearchParams(text)))
