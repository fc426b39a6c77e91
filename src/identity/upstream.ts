import { adoptUpstreamLink, insertUpstreamLink } from '../../sql/admin-upstream.ts'
import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import type { Db } from '../../sql/connect.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import {
  deleteUpstreamLink,
  deleteUpstreamLinksAt,
  listLinkedIdentities,
  listUpstreamLinksAt,
  ownUpstreamLink,
  touchUpstreamLink,
  type UpstreamLinkRow,
} from '../../sql/upstream-links.ts'
import { consumeUpstreamSession } from '../../sql/upstream-sessions.ts'
import { findPassword } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { sessionCookie } from '../http/browser.ts'
import type { Requester } from '../http/requester.ts'
import { transact } from '../lib/transact.ts'
import { newId } from '../lib/ulid.ts'
import { beginSession } from './begin-session.ts'
import { isDirectoryAccount } from './directory.ts'
import { nameOfProviderIn } from './providers.ts'
import { reauthenticate } from './reauthentication.ts'
import { recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'
import type { Visit } from './visit.ts'

/** Seconds from the way to a provider until what came of it is used: a person reads a page in between. */
export const WAY_LIFETIME = 3600

/** What a provider said was used before, or belongs to another account: rolls back. */
export class LinkGone extends Error {}

type Needs = SecurityLogNeeds & Pick<Deps, 'sql' | 'urls'>

/**
 * Uses a way up and gives its link to an account, in the caller's transaction.
 *
 * @throws LinkGone
 */
export async function takeLink(
  deps: Pick<Deps, 'clock' | 'log'>,
  tx: Db,
  wayId: string,
  userId: string,
  browserSessionId: string | null,
): Promise<{ providerId: string }> {
  const now = deps.clock.now()
  const [way] = await consumeUpstreamSession(tx, wayId, browserSessionId, now)
  if (!way?.link_id) throw new LinkGone()
  const [owned] = await ownUpstreamLink(tx, way.link_id, userId, now)
  if (!owned) throw new LinkGone()
  deps.log.info('upstream.linked', { user_id: userId, link_id: way.link_id })
  return { providerId: way.provider_id }
}

/**
 * Gives an identity to an account because an operator says so, in the caller's transaction; one that is nobody's yet is
 * taken over, with its name. Undefined when it leads to an account, also if it is this one.
 */
export async function giveIdentity(
  deps: Pick<Deps, 'clock' | 'random'>,
  tx: Db,
  identity: { providerId: string; subject: string; userId: string; accountName: string | null },
): Promise<{ link: UpstreamLinkRow; isNew: boolean } | undefined> {
  const now = deps.clock.now()
  const [added] = await insertUpstreamLink(tx, { ...identity, id: newId(now, deps.random), now })
  if (added) return { link: added, isNew: true }
  const [adopted] = await adoptUpstreamLink(tx, identity.providerId, identity.subject, identity.userId)
  return adopted && { link: adopted, isNew: false }
}

/** Signs the owner of a link in, in a new session; gives its cookies. Undefined when the way was used before. */
export const signInThrough = (
  deps: Needs,
  visit: Visit,
  wayId: string,
  link: UpstreamLinkRow & { user_id: string },
): Promise<string[] | undefined> =>
  transact(deps.sql, async (tx) => {
    const session = await beginSession(deps, tx, visit, link.user_id, { method: 'provider' })
    const now = deps.clock.now()
    const [used] = await consumeUpstreamSession(tx, wayId, session.id, now)
    const [touched] = await touchUpstreamLink(tx, link.id, link.user_id, now)
    if (!used || !touched) throw new LinkGone()
    deps.log.info('login.succeeded', {
      user_id: link.user_id,
      session_id: session.id,
      provider_id: link.provider_id,
      ip: visit.requester.ip,
    })
    return session.cookies
  }).catch(unlessGone)

/** The owner of a link, who is signed in, proved anew who they are; `grantId` as for `reauthenticate`. */
export async function renewThrough(
  deps: Needs,
  wayId: string,
  linkId: string,
  session: BrowserSessionRow,
  grantId: string | undefined,
): Promise<string[] | undefined> {
  const now = deps.clock.now()
  const [used] = await consumeUpstreamSession(deps.sql, wayId, session.id, now)
  if (!used) return undefined
  const [touched] = await touchUpstreamLink(deps.sql, linkId, session.user_id, now)
  if (!touched) return undefined
  const secret = await reauthenticate(deps, session, 'provider', grantId)
  return secret === undefined ? [] : [sessionCookie(deps.urls, secret)]
}

/** Links an identity to the account that is signed in; false when it was used, or is somebody else's. */
export const linkThrough = async (
  deps: Needs,
  visit: Visit,
  wayId: string,
  session: BrowserSessionRow,
  name: string,
): Promise<boolean> =>
  (await transact(deps.sql, async (tx) => {
    await takeLink(deps, tx, wayId, session.user_id, session.id)
    await recordSecurityEvent(deps, tx, {
      userId: session.user_id,
      kind: 'identity_linked',
      details: { name },
      requester: visit.requester,
    })
    return true
  }).catch(unlessGone)) ?? false

/**
 * Gives a link to an account because the operator trusts the provider with its name (`on_conflict`), and signs the person
 * in. `add` keeps what is linked already, `set` wants nothing to be, `replace` puts this in its place. `conflict`: something
 * else of this provider is linked.
 */
export const adoptThrough = (
  deps: Needs,
  visit: Visit,
  wayId: string,
  link: UpstreamLinkRow,
  userId: string,
  { mode, name }: { mode: 'add' | 'set' | 'replace'; name: string },
): Promise<string[] | 'conflict' | undefined> =>
  transact(deps.sql, async (tx) => {
    await lockSessionsOf(tx, userId)
    if (mode === 'set' && (await listUpstreamLinksAt(tx, userId, link.provider_id)).length > 0)
      return 'conflict' as const
    if (mode === 'replace') await deleteUpstreamLinksAt(tx, userId, link.provider_id)
    const session = await beginSession(deps, tx, visit, userId, { method: 'provider' })
    await takeLink(deps, tx, wayId, userId, session.id)
    await recordSecurityEvent(deps, tx, {
      userId,
      kind: 'identity_linked',
      details: { name },
      requester: visit.requester,
    })
    return session.cookies
  }).catch(unlessGone)

function unlessGone(error: unknown): undefined {
  if (!(error instanceof LinkGone)) throw error
}

/**
 * Takes an identity from an account; the owner hears of it. `last`: nothing else would let them in. `gone`: it is not
 * theirs.
 */
export const unlinkIdentity = (
  deps: Needs,
  userId: string,
  linkId: string,
  requester: Requester,
): Promise<'unlinked' | 'last' | 'gone'> =>
  transact(deps.sql, async (tx) => {
    // Of two at once each would see the other as a way in that is left.
    await lockSessionsOf(tx, userId)
    const links = await listLinkedIdentities(tx, userId)
    const link = links.find(({ id }) => id === linkId)
    if (!link) return 'gone'
    const others = links.filter(({ id, provider_disabled }) => id !== linkId && !provider_disabled)
    const [password] = deps.config.passwords.enabled ? await findPassword(tx, userId) : []
    const hasOther =
      password !== undefined || others.length > 0 || (await isDirectoryAccount(deps, userId, tx))
    if (!hasOther) return 'last'
    await deleteUpstreamLink(tx, linkId, userId)
    const name = nameOfProviderIn(deps.config, link)
    await recordSecurityEvent(deps, tx, { userId, kind: 'identity_unlinked', details: { name }, requester })
    deps.log.info('upstream.unlinked', { user_id: userId, link_id: linkId })
    return 'unlinked'
  })
