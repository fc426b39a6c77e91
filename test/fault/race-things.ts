import { claimCaptcha } from '../../sql/captcha.ts'
import { fulfilCompatLogin, insertCompatLogin, spendLoginToken } from '../../sql/compat-logins.ts'
import { rotateCompatToken } from '../../sql/compat-tokens.ts'
import type { Db } from '../../sql/connect.ts'
import { claimDeviceCode, insertDeviceGrant } from '../../sql/device-grants.ts'
import { completeEmailVerification, insertEmailVerification } from '../../sql/email-verifications.ts'
import { claimCode, fulfilGrant, insertGrant } from '../../sql/grants.ts'
import { takeLease } from '../../sql/leases.ts'
import { claimPendingDeactivation, insertPendingDeactivation } from '../../sql/pending-deactivations.ts'
import { insertPushedRequest } from '../../sql/pushed-requests.ts'
import { claimRecoveryTicket, insertRecoveryTicket } from '../../sql/recoveries.ts'
import { insertRegistrationToken, useRegistrationToken } from '../../sql/registration-tokens.ts'
import { completeRegistration, insertRegistration } from '../../sql/registrations.ts'
import { rotateRefreshTokens } from '../../sql/tokens.ts'
import {
  claimUpstreamSession,
  consumeUpstreamSession,
  insertUpstreamSession,
} from '../../sql/upstream-sessions.ts'
import { insertUsedJwt } from '../../sql/used-jwts.ts'
import { insertUser } from '../../sql/users.ts'
import { sha256 } from '../../src/lib/digest.ts'
import { newId } from '../../src/lib/ulid.ts'
import { seededRandom } from '../bench/seed.ts'

/** Something that is good once, as the statement that uses it up has it. */
export interface Thing {
  name: string
  /** Makes number `index` of it; without, there is nothing to make. */
  seed?(sql: Db, index: number): PromiseLike<unknown>
  /** Tries to use it up as the racer `racer` (0 or 1): rows when that was first. */
  claim(sql: Db, index: number, racer: number): PromiseLike<readonly unknown[]>
}

const NOW = new Date('2026-11-01T12:00:00Z')
const LATER = new Date('2026-11-01T13:00:00Z')
const EARLIER = new Date('2026-11-01T11:00:00Z')
/** The same ids and digests in both racers. */
const id = (name: string, index: number): string => newId(NOW, seededRandom(`${name} ${index}`))
const digest = (name: string, index: number): Uint8Array => sha256(`${name} ${index}`)
const CLIENT = id('client', 0)
const BROWSER = sha256('browser')
const SESSION = id('browser session', 0)

const grant = (name: string, index: number, pushedDigest: Uint8Array | null) => ({
  id: id(name, index),
  clientId: CLIENT,
  browserHash: BROWSER,
  redirectUri: 'https://app.example.com/',
  responseType: 'code',
  responseMode: 'query',
  scope: ['openid'],
  state: null,
  nonce: null,
  codeChallenge: null,
  loginHint: null,
  locale: null,
  rawParameters: {},
  prompt: [],
  authenticatedAfter: null,
  staleSessionId: null,
  expectedUserId: null,
  acrRequested: false,
  acrRequired: false,
  dpopJkt: null,
  pushedDigest,
  now: NOW,
})

const upstream = (name: string, index: number) => ({
  id: id(name, index),
  providerId: id('provider', 0),
  browserHash: BROWSER,
  stateHash: digest(name, index),
  sealedSecrets: 'sealed',
  continuation: '',
  now: NOW,
})

/** What one racer would put in the place of what it uses up. */
const successor = (name: string, index: number, racer: number) => ({
  id: id(`${name} next ${racer}`, index),
  accessHash: digest(`${name} next access ${racer}`, index),
  refreshHash: digest(`${name} next refresh ${racer}`, index),
  expiresAt: LATER,
  dpopJkt: undefined,
})

const user = (name: string, index: number) => ({
  id: id(`${name} user`, index),
  username: `${name.replace(/[^a-z]/g, '')}${index}`,
  folded: `${name.replace(/[^a-z]/g, '')}${index}`,
  displayName: null,
  isAdmin: false,
  now: NOW,
})

export const THINGS: readonly Thing[] = [
  {
    name: 'authorization code',
    seed: (sql, index) => insertGrant(sql, grant('code', index, null)),
    claim: (sql, index, racer) =>
      claimCode(sql, id('code', index), id(`code session ${racer}`, index), NOW, LATER),
  },
  {
    name: 'device code',
    seed: (sql, index) =>
      insertDeviceGrant(sql, {
        id: id('device', index),
        clientId: CLIENT,
        scope: ['openid'],
        deviceCodeHash: digest('device', index),
        userCodeHash: digest('user code', index),
        sealedUserCode: 'sealed',
        intervalSeconds: 5,
        ip: null,
        userAgent: null,
        now: NOW,
        expiresAt: LATER,
      }),
    claim: (sql, index, racer) =>
      claimDeviceCode(sql, id('device', index), id(`device session ${racer}`, index), NOW, LATER),
  },
  {
    name: 'refresh token',
    seed: (sql, index) =>
      Promise.all([
        sql`
          insert into latchkey.clients (id, auth_method, redirect_uris, grant_types, metadata, created_at)
          values (${CLIENT}, 'none', '{}', array['refresh_token'], '{}', ${NOW}) on conflict do nothing`,
        insertUser(sql, user('refresh', index)),
        sql`
          insert into latchkey.oauth_sessions (id, client_id, user_id, scope, created_at)
          values (${id('refresh', index)}, ${CLIENT}, ${id('refresh user', index)}, array['openid'], ${NOW})`,
        sql`
          insert into latchkey.tokens (session_id, id, access_hash, refresh_hash, expires_at)
          values (${id('refresh', index)}, ${id('refresh pair', index)}, ${digest('refresh access', index)},
            ${digest('refresh', index)}, ${LATER})`,
      ]),
    claim: (sql, index, racer) =>
      rotateRefreshTokens(
        sql,
        [
          {
            hash: digest('refresh', index),
            clientId: CLIENT,
            next: successor('refresh', index, racer),
          },
        ],
        { authMethod: 'none', now: NOW, waits: true },
      ),
  },
  {
    name: 'refresh token of an older client',
    seed: (sql, index) =>
      Promise.all([
        insertUser(sql, user('legacy', index)),
        sql`
          insert into latchkey.compat_sessions (id, user_id, created_at)
          values (${id('legacy', index)}, ${id('legacy user', index)}, ${NOW})`,
        sql`
          insert into latchkey.compat_tokens (session_id, id, access_hash, refresh_hash, expires_at)
          values (${id('legacy', index)}, ${id('legacy pair', index)}, ${digest('legacy access', index)},
            ${digest('legacy', index)}, ${LATER})`,
      ]),
    claim: (sql, index, racer) =>
      rotateCompatToken(sql, { hash: digest('legacy', index), now: NOW }, successor('legacy', index, racer)),
  },
  {
    name: 'login token',
    seed: (sql, index) =>
      insertCompatLogin(sql, { id: id('login', index), redirectUri: 'https://app.example.com/', now: NOW }),
    claim: (sql, index, racer) =>
      spendLoginToken(sql, id('login', index), id(`login session ${racer}`, index), NOW),
  },
  {
    name: 'approval of a login',
    seed: (sql, index) =>
      insertCompatLogin(sql, {
        id: id('approval', index),
        redirectUri: 'https://app.example.com/',
        now: NOW,
      }),
    claim: (sql, index, racer) =>
      fulfilCompatLogin(sql, id('approval', index), {
        browserSessionId: SESSION,
        tokenHash: digest(`approval ${racer}`, index),
        since: EARLIER,
        now: NOW,
      }),
  },
  {
    name: 'pushed request, on two pages',
    seed: (sql, index) =>
      Promise.all([
        insertPushedRequest(sql, {
          digest: digest('pushed', index),
          clientId: CLIENT,
          parameters: {},
          signed: false,
          over: EARLIER,
          expiresAt: LATER,
        }),
        insertGrant(sql, grant('pushed 0', index, digest('pushed', index))),
        insertGrant(sql, grant('pushed 1', index, digest('pushed', index))),
      ]),
    claim: (sql, index, racer) =>
      fulfilGrant(sql, id(`pushed ${racer}`, index), SESSION, digest(`pushed code ${racer}`, index), NOW),
  },
  {
    name: 'jti of a client assertion or a DPoP proof',
    claim: (sql, index) => insertUsedJwt(sql, digest('jti', index), LATER),
  },
  {
    name: 'code of an email address',
    seed: (sql, index) =>
      insertEmailVerification(sql, {
        id: id('email', index),
        owner: { registrationId: id('email registration', index) },
        email: 'a@example.com',
        codeHash: digest('email', index),
        codeExpiresAt: LATER,
        fromProvider: false,
        now: NOW,
      }),
    claim: (sql, index) => completeEmailVerification(sql, id('email', index), digest('email', index), NOW),
  },
  {
    name: 'recovery ticket',
    seed: (sql, index) =>
      Promise.all([
        insertUser(sql, user('recovery', index)),
        insertRecoveryTicket(sql, {
          digest: digest('recovery', index),
          userId: id('recovery user', index),
          recoveryId: null,
          now: NOW,
          expiresAt: LATER,
        }),
      ]),
    claim: (sql, index) => claimRecoveryTicket(sql, digest('recovery', index), NOW),
  },
  {
    name: 'invitation for one',
    seed: (sql, index) =>
      insertRegistrationToken(sql, {
        id: id('invitation', index),
        hash: digest('invitation', index),
        sealed: 'sealed',
        usageLimit: 1,
        expiresAt: null,
        now: NOW,
      }),
    claim: (sql, index) => useRegistrationToken(sql, id('invitation', index), NOW),
  },
  {
    name: 'sign-up',
    seed: (sql, index) =>
      insertRegistration(sql, {
        id: id('sign-up', index),
        browserHash: BROWSER,
        username: `a${index}`,
        usernameFolded: `a${index}`,
        registrationTokenId: null,
        invited: false,
        passwordVersion: 1,
        passwordHash: 'hash',
        termsUri: null,
        termsVersion: '',
        continuation: '',
        ip: null,
        userAgent: null,
        now: NOW,
      }),
    claim: (sql, index) => completeRegistration(sql, id('sign-up', index), 'A', NOW),
  },
  {
    name: 'username',
    claim: (sql, index, racer) => insertUser(sql, { ...user('name', index), id: id(`name ${racer}`, index) }),
  },
  {
    name: 'answer of a provider',
    seed: (sql, index) => insertUpstreamSession(sql, upstream('provider', index)),
    claim: (sql, index) =>
      claimUpstreamSession(sql, {
        stateHash: digest('provider', index),
        providerId: id('provider', 0),
        browserHash: BROWSER,
        since: EARLIER,
        now: NOW,
      }),
  },
  {
    name: 'sign-in through a provider',
    seed: async (sql, index) => {
      await insertUpstreamSession(sql, upstream('through', index))
      await sql`
        update latchkey.upstream_sessions set claimed_at = ${NOW}, completed_at = ${NOW}, link_id = ${id('link', 0)}
        where id = ${id('through', index)}`
    },
    claim: (sql, index) => consumeUpstreamSession(sql, id('through', index), null, NOW),
  },
  {
    name: 'deactivation that is taken back',
    seed: (sql, index) =>
      insertPendingDeactivation(sql, {
        userId: id('pending', index),
        digest: digest('pending', index),
        erase: false,
        keepLocked: false,
        now: NOW,
        dueAt: LATER,
      }),
    claim: (sql, index) => claimPendingDeactivation(sql, digest('pending', index)),
  },
  { name: 'solved CAPTCHA', claim: (sql, index) => claimCaptcha(sql, digest('captcha', index), LATER) },
  { name: 'lease of a user', claim: (sql, index) => takeLease(sql, id('lease', index), NOW, LATER) },
]
