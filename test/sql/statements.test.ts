import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Glob } from 'bun'
import * as accountSummary from '../../sql/account-summary.ts'
import * as adminClients from '../../sql/admin-clients.ts'
import * as adminEmails from '../../sql/admin-emails.ts'
import * as adminPersonalSessions from '../../sql/admin-personal-sessions.ts'
import * as adminRights from '../../sql/admin-rights.ts'
import * as adminSessions from '../../sql/admin-sessions.ts'
import * as adminUpstream from '../../sql/admin-upstream.ts'
import * as adminUsers from '../../sql/admin-users.ts'
import * as approvals from '../../sql/approvals.ts'
import * as audit from '../../sql/audit.ts'
import * as browserSessions from '../../sql/browser-sessions.ts'
import * as captcha from '../../sql/captcha.ts'
import * as cleanUp from '../../sql/clean-up.ts'
import * as cleanUpSessions from '../../sql/clean-up-sessions.ts'
import * as clientRegistrations from '../../sql/client-registrations.ts'
import * as clients from '../../sql/clients.ts'
import * as compatLogins from '../../sql/compat-logins.ts'
import * as compatSessions from '../../sql/compat-sessions.ts'
import * as compatTokens from '../../sql/compat-tokens.ts'
import * as condition from '../../sql/condition.ts'
import * as connectedApps from '../../sql/connected-apps.ts'
import * as consents from '../../sql/consents.ts'
import * as deviceGrants from '../../sql/device-grants.ts'
import * as devices from '../../sql/devices.ts'
import * as directoryLinks from '../../sql/directory-links.ts'
import * as emailVerifications from '../../sql/email-verifications.ts'
import * as events from '../../sql/events.ts'
import * as exports from '../../sql/export.ts'
import * as grants from '../../sql/grants.ts'
import * as idempotency from '../../sql/idempotency.ts'
import * as inactiveSessions from '../../sql/inactive-sessions.ts'
import * as jobs from '../../sql/jobs.ts'
import * as knownBrowsers from '../../sql/known-browsers.ts'
import * as leases from '../../sql/leases.ts'
import * as limits from '../../sql/limits.ts'
import * as logout from '../../sql/logout.ts'
import * as logoutReturns from '../../sql/logout-returns.ts'
import * as mails from '../../sql/mails.ts'
import * as oauthSessions from '../../sql/oauth-sessions.ts'
import * as operatorProviders from '../../sql/operator-providers.ts'
import type { Counting } from '../../sql/page.ts'
import * as pendingDeactivations from '../../sql/pending-deactivations.ts'
import * as personalSessions from '../../sql/personal-sessions.ts'
import * as ping from '../../sql/ping.ts'
import * as policyData from '../../sql/policy-data.ts'
import * as preferences from '../../sql/preferences.ts'
import * as providerPlan from '../../sql/provider-plan.ts'
import * as provisioning from '../../sql/provisioning.ts'
import * as pushedRequests from '../../sql/pushed-requests.ts'
import * as recoveries from '../../sql/recoveries.ts'
import * as registrationTokens from '../../sql/registration-tokens.ts'
import * as registrations from '../../sql/registrations.ts'
import * as securityEvents from '../../sql/security-events.ts'
import * as sessionLimit from '../../sql/session-limit.ts'
import * as sessions from '../../sql/sessions.ts'
import * as settings from '../../sql/settings.ts'
import * as signingKeys from '../../sql/signing-keys.ts'
import * as staticClients from '../../sql/static-clients.ts'
import * as terms from '../../sql/terms.ts'
import * as tokens from '../../sql/tokens.ts'
import * as upstreamLinks from '../../sql/upstream-links.ts'
import * as upstreamProviders from '../../sql/upstream-providers.ts'
import * as upstreamSessions from '../../sql/upstream-sessions.ts'
import * as usedJwts from '../../sql/used-jwts.ts'
import * as userEmails from '../../sql/user-emails.ts'
import * as users from '../../sql/users.ts'
import { createJobs, type JobHandlers } from '../../src/jobs/jobs.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  CLIENT_FILTER,
  EMAIL_FILTER,
  HASH,
  ID,
  METADATA,
  NOW,
  OPERATOR_CLIENT,
  OPERATOR_PROVIDER,
  PAGES,
  PERSONAL_FILTERS,
  SESSION_FILTERS,
  statements,
  USER_FILTERS,
} from './statement-samples.ts'

/** Files of sql/ that hold no query functions. */
const OTHER_FILES = ['backup', 'connect', 'location', 'migrate', 'outage', 'page', 'schema-dump', 'types']

/** Every filter with every page, in both orders. */
const listed = <Filter>(
  filters: readonly Filter[],
): [Filter, (typeof PAGES)[number] & { order: 'id' | 'activity' }][] =>
  filters.flatMap((filter) =>
    PAGES.flatMap((page) =>
      (['id', 'activity'] as const).map(
        (order): [Filter, (typeof PAGES)[number] & { order: 'id' | 'activity' }] => [
          filter,
          { ...page, order },
        ],
      ),
    ),
  )

/** A filter with every way to count. */
const countings = <Filter>(filters: readonly Filter[]): [Filter, Counting][] =>
  filters.flatMap((filter) =>
    (['all', 'some', 'estimate'] as const).map((how): [Filter, Counting] => [filter, how]),
  )

const TOKEN_FILTER = { used: true, revoked: false, expired: false, valid: true, now: NOW }

const FILES = [
  statements('idempotency', idempotency, {
    claimIdempotencyKey: [[{ keyHash: HASH, requestHash: HASH, now: NOW, abandoned: NOW }]],
    findIdempotencyKey: [[HASH]],
    answerIdempotencyKey: [[HASH, 201, 'v1.x']],
    releaseIdempotencyKey: [[HASH]],
  }),
  statements('registration-tokens', registrationTokens, {
    insertRegistrationToken: [
      [{ id: ID, hash: HASH, sealed: 'v1.x', usageLimit: 1, expiresAt: null, now: NOW }],
    ],
    listRegistrationTokens: listed([TOKEN_FILTER]),
    countRegistrationTokens: countings([TOKEN_FILTER]),
    findRegistrationToken: [[ID]],
    findValidRegistrationToken: [[HASH, NOW]],
    useRegistrationToken: [[ID, NOW]],
    updateRegistrationToken: [[ID, { usageLimit: 1, expiresAt: NOW }]],
    revokeRegistrationToken: [[ID, NOW]],
    unrevokeRegistrationToken: [[ID]],
  }),
  statements('admin-clients', adminClients, {
    listClients: listed([CLIENT_FILTER]),
    countClients: countings([CLIENT_FILTER]),
    findAdminClient: [[ID]],
    insertOperatorClient: [[{ ...OPERATOR_CLIENT, sealedSecret: null, now: NOW }]],
    updateOperatorClient: [[OPERATOR_CLIENT, true, 'v1.x']],
    updateOperatorSecret: [[ID, 'v1.x']],
    deleteClientOfAny: [[ID]],
  }),
  statements('admin-emails', adminEmails, {
    listUserEmails: listed([EMAIL_FILTER]),
    countUserEmails: countings([EMAIL_FILTER]),
    findUserEmail: [[ID]],
  }),
  statements('admin-personal-sessions', adminPersonalSessions, {
    listAdminPersonalSessions: listed(PERSONAL_FILTERS),
    countPersonalSessions: countings(PERSONAL_FILTERS),
    findAdminPersonalSession: [[ID]],
  }),
  statements('admin-sessions', adminSessions, {
    listBrowserSessions: listed(SESSION_FILTERS),
    countBrowserSessions: countings(SESSION_FILTERS),
    findAdminBrowserSession: [[ID]],
    listCompatSessions: listed(SESSION_FILTERS),
    countCompatSessions: countings(SESSION_FILTERS),
    findAdminCompatSession: [[ID]],
    listOAuthSessions: listed(SESSION_FILTERS),
    countOAuthSessions: countings(SESSION_FILTERS),
    findAdminOAuthSession: [[ID]],
    finishFoundBrowserSessions: SESSION_FILTERS.map((filter) => [filter, 10, NOW]),
    finishFoundCompatSessions: SESSION_FILTERS.map((filter) => [filter, 10, NOW]),
    finishFoundOAuthSessions: SESSION_FILTERS.map((filter) => [filter, 10, NOW]),
  }),
  statements('admin-rights', adminRights, {
    withdrawFromApps: [[ID, ['urn:mas:admin']]],
    withdrawFromTokens: [[ID, ['urn:mas:admin']]],
    withdrawFromCompatSessions: [[ID]],
    withdrawFromGrants: [[ID, ['urn:mas:admin']]],
  }),
  statements('admin-users', adminUsers, {
    planForValues: [[]],
    listUsers: listed(USER_FILTERS),
    countUsers: countings(USER_FILTERS),
    findAdminUser: [[ID]],
    findAdminUserByName: [['alice', 'alice']],
    deleteUser: [[ID]],
    insertDeletedUser: [
      [
        {
          id: ID,
          username: 'alice',
          username_folded: 'alice',
          imported_duplicate: false,
          created_at: NOW,
          deactivated_at: NOW,
          now: NOW,
        },
      ],
    ],
    renameUser: [[ID, 'alice', 'alice']],
  }),
  statements('audit', audit, {
    listAuditEntries: listed([{ actorUserId: ID, targetId: ID, action: 'lockUser', settledBefore: ID }]),
    countAuditEntries: countings([{ actorUserId: ID, targetId: ID, action: 'lockUser', settledBefore: ID }]),
    findAuditEntry: [[ID]],
    insertAuditEntries: [
      [
        {
          ids: [ID],
          action: 'lockUser',
          actorUserId: ID,
          actorClientId: null,
          targetType: 'user',
          targetIds: [ID],
          ip: '::1',
        },
      ],
    ],
  }),
  statements('events', events, {
    listEvents: listed([
      { source: undefined, kind: undefined, userId: undefined, settledBefore: undefined },
      { source: 'admin', kind: 'lockUser', userId: ID, settledBefore: ID },
    ]),
    countEvents: countings([{ source: 'account', kind: 'locked', userId: ID, settledBefore: ID }]),
    findEvent: [[ID]],
  }),
  statements('browser-sessions', browserSessions, {
    insertBrowserSession: [
      [{ id: ID, userId: ID, secretHash: HASH, userAgent: null, ip: '::1', method: 'password', now: NOW }],
    ],
    renewBrowserSession: [[ID, HASH, 'password', NOW]],
    findBrowserSession: [
      [HASH, undefined, NOW],
      [HASH, { uri: 'https://a.test/', version: '1' }, NOW],
    ],
    renameBrowserSession: [[ID, ID, 'name']],
    finishBrowserSession: [[ID, ID, NOW]],
    finishBrowserSessions: [
      [ID, NOW, null],
      [ID, NOW, ID],
    ],
  }),
  statements('clients', clients, {
    findClient: [[ID]],
    findClientByDigest: [['digest']],
    insertClient: [
      [
        {
          id: ID,
          digest: null,
          registrationTokenHash: null,
          authMethod: 'none',
          sealedSecret: null,
          redirectUris: ['https://a.test/'],
          grantTypes: ['authorization_code'],
          metadata: METADATA,
          now: NOW,
        },
      ],
    ],
    upsertStaticClient: [
      [
        {
          id: ID,
          authMethod: 'none',
          sealedSecret: null,
          redirectUris: [],
          grantTypes: [],
          metadata: METADATA,
          now: NOW,
        },
      ],
    ],
  }),
  statements('provider-plan', providerPlan, { listStoredProviders: [[]], deleteProviders: [[[ID]]] }),
  statements('static-clients', staticClients, {
    lockStaticClients: [[]],
    listStaticClients: [[]],
    listStaticClientsBesides: [[[ID]]],
    listPeopleOfClients: [[[ID]]],
    deleteStaticClients: [[[ID]]],
  }),
  statements('account-summary', accountSummary, { findAccountSummary: [[ID]] }),
  statements('export', exports, { exportAccount: [[ID]] }),
  statements('preferences', preferences, {
    findPreferences: [[ID]],
    setPreferences: [[ID, { locale: 'de', timeZone: null }]],
    setLocale: [[ID, 'de']],
  }),
  statements('compat-logins', compatLogins, {
    insertCompatLogin: [[{ id: ID, redirectUri: 'https://a.test/', now: NOW }]],
    findCompatLogin: [[ID]],
    fulfilCompatLogin: [[ID, { browserSessionId: ID, tokenHash: HASH, since: NOW, now: NOW }]],
    cancelCompatLogin: [[ID, NOW]],
    findLoginByToken: [[HASH]],
    spendLoginToken: [[ID, ID, NOW]],
    releaseLoginToken: [[ID, ID]],
  }),
  statements('compat-sessions', compatSessions, {
    insertCompatSession: [
      [
        {
          id: ID,
          userId: ID,
          deviceId: 'DEVICE',
          humanName: null,
          browserSessionId: null,
          synapseAdmin: false,
          userAgent: null,
          ip: '::1',
          now: NOW,
        },
      ],
    ],
    finishCompatSession: [[ID, NOW]],
    finishCompatSessionOf: [[ID, ID, NOW]],
    finishCompatSessions: [[ID, NOW]],
    renameCompatSession: [[ID, ID, 'Phone']],
  }),
  statements('compat-tokens', compatTokens, {
    findActiveCompatAccessToken: [[HASH, NOW]],
    findActiveCompatRefreshToken: [[HASH]],
    markFirstCompatUse: [[{ session_id: ID, id: ID }, NOW]],
    findCompatSignOut: [[HASH, NOW]],
    insertCompatTokens: [
      [{ sessionId: ID, id: ID, accessHash: HASH, refreshHash: HASH, expiresAt: NOW }],
      [{ sessionId: ID, id: ID, accessHash: HASH, refreshHash: null, expiresAt: null }],
    ],
    findCompatRefreshToken: [[HASH]],
    rotateCompatToken: [
      [
        { hash: HASH, now: NOW },
        { id: ID, accessHash: HASH, refreshHash: HASH, expiresAt: NOW },
      ],
    ],
    renewCompatSuccessor: [[ID, { id: ID, accessHash: HASH, refreshHash: HASH, expiresAt: NOW }]],
  }),
  statements('devices', devices, {
    listDevices: [[ID]],
    finishDeviceSessions: [[ID, 'DEVICE', ID, NOW]],
  }),
  statements('condition', condition, {
    describeDatabase: [[]],
    countMails: [[]],
    countJobs: [[]],
    countConnections: [[]],
  }),
  statements('connected-apps', connectedApps, {
    listConnectedApps: [[ID, 10, 0]],
    findConnectedApp: [[ID, ID]],
    findClientOfSession: [[ID, ID]],
  }),
  statements('consents', consents, {
    deleteConsents: [[ID, ID]],
    hasAnyConsent: [[ID, ID]],
    findConsent: [[ID, ID, 'openid']],
    insertConsent: [[ID, ID, 'openid', NOW]],
  }),
  statements('client-registrations', clientRegistrations, {
    noteRegistration: [['digest', ['authorization_code'], NOW, NOW]],
    markFirstGrant: [[ID, NOW]],
    findManagedClient: [[ID, HASH]],
    replaceRegistration: [
      [
        {
          id: ID,
          authMethod: 'none',
          sealedSecret: null,
          redirectUris: ['https://a.test/'],
          grantTypes: ['authorization_code'],
          metadata: METADATA,
        },
      ],
    ],
    listDeviceUsers: [[ID]],
    deleteClient: [[ID]],
    deleteUnusedClients: [[NOW, NOW, 10]],
  }),
  statements('logout', logout, {
    listLogoutNotices: [[[ID]]],
    finishClientSessions: [[ID, ID, NOW]],
    countAppsOf: [[ID]],
    finishAppsOf: [[ID, ID, NOW]],
  }),
  statements('device-grants', deviceGrants, {
    insertDeviceGrant: [
      [
        {
          id: ID,
          clientId: ID,
          scope: ['openid'],
          deviceCodeHash: HASH,
          userCodeHash: HASH,
          sealedUserCode: 'sealed',
          intervalSeconds: 5,
          ip: '::1',
          userAgent: null,
          now: NOW,
          expiresAt: NOW,
        },
      ],
    ],
    bindDeviceGrant: [[HASH, HASH, NOW]],
    findDeviceGrant: [[ID]],
    fulfilDeviceGrant: [[ID, HASH, { browserSessionId: ID, locale: 'en', now: NOW }]],
    rejectDeviceGrant: [[ID, HASH, NOW]],
    findDeviceGrantByCode: [[HASH]],
    pollDeviceGrant: [[ID, NOW]],
    claimDeviceCode: [[ID, ID, NOW, NOW]],
    findDeviceCodeState: [[ID]],
    releaseDeviceCode: [[ID, ID]],
    spendDeviceCode: [[ID, ID, NOW]],
  }),
  statements('grants', grants, {
    insertGrant: [
      [
        {
          id: ID,
          clientId: ID,
          browserHash: HASH,
          redirectUri: 'https://a.test/',
          responseType: 'code',
          responseMode: 'query',
          scope: ['openid'],
          state: null,
          nonce: null,
          codeChallenge: null,
          loginHint: null,
          locale: null,
          rawParameters: {},
          prompt: ['consent'],
          authenticatedAfter: null,
          staleSessionId: null,
          expectedUserId: null,
          dpopJkt: null,
          pushedDigest: null,
          acrRequested: false,
          acrRequired: false,
          now: NOW,
        },
      ],
    ],
    findGrant: [[ID]],
    fulfilGrant: [[ID, ID, HASH, NOW]],
    cancelGrant: [[ID, NOW]],
    freshenGrant: [[ID, ID]],
    findGrantByCode: [[HASH]],
    claimCode: [[ID, ID, NOW, NOW]],
    findCodeState: [[ID]],
    findRawParameters: [[ID]],
    releaseCode: [[ID, ID]],
    spendCode: [[ID, ID, NOW]],
  }),
  statements('inactive-sessions', inactiveSessions, {
    finishInactiveSessions: (['browser', 'oauth', 'compat'] as const).map((kind) => [
      kind,
      { after: ID, before: NOW, limit: 10, now: NOW },
    ]),
  }),
  statements('leases', leases, {
    takeLease: [[ID, NOW, NOW]],
    findLease: [[ID, '1', NOW]],
    releaseLease: [[ID, '1', NOW]],
  }),
  statements('limits', limits, {
    takeFromLimits: [
      [[{ key: 'key', interval: 1000, burst: 3 }, undefined], NOW],
      [
        [
          { key: 'one', interval: 1000, burst: 3 },
          { key: 'two', interval: 500, burst: 1 },
        ],
        NOW,
      ],
    ],
    findLimit: [['key']],
    deleteIdleLimits: [[NOW]],
  }),
  statements('oauth-sessions', oauthSessions, {
    insertOAuthSession: [
      [
        {
          id: ID,
          clientId: ID,
          userId: ID,
          browserSessionId: null,
          scope: ['openid'],
          deviceId: 'DEVICE',
          humanName: null,
          userAgent: null,
          ip: null,
          now: NOW,
        },
      ],
    ],
    findPersonClaims: [[ID]],
    lockOAuthSession: [[ID]],
    finishOAuthSession: [[ID, NOW]],
    finishOAuthSessionOf: [[ID, ID, NOW]],
    finishOAuthSessionsOfClient: [[ID, ID, NOW]],
    renameOAuthSession: [[ID, ID, 'Phone']],
    finishOAuthSessions: [[ID, NOW]],
  }),
  statements('personal-sessions', personalSessions, {
    insertPersonalSession: [
      [
        {
          id: ID,
          ownerUserId: ID,
          ownerClientId: null,
          userId: ID,
          humanName: 'A script',
          scope: ['openid'],
          deviceId: null,
          userAgent: null,
          now: NOW,
        },
      ],
    ],
    findPersonalSession: [[ID]],
    listPersonalSessions: [[ID, 10]],
    renamePersonalSession: [[ID, ID, 'name']],
    lockPersonalSession: [[ID]],
    insertPersonalToken: [[{ id: ID, sessionId: ID, hash: HASH, now: NOW, expiresAt: null }]],
    revokePersonalToken: [[ID, NOW]],
    finishPersonalSession: [[ID, NOW]],
    finishPersonalSessionOf: [[ID, ID, NOW]],
    finishPersonalSessions: [[ID, NOW, true]],
    findActivePersonalToken: [[HASH, NOW]],
  }),
  statements('policy-data', policyData, {
    insertPolicyData: [[{ id: ID, data: { admin_users: ['alice'] }, now: NOW }]],
    findPolicyData: [[ID]],
    latestPolicyData: [[]],
    latestPolicyDataId: [[]],
    deleteOldPolicyData: [[10]],
  }),
  statements('provisioning', provisioning, {
    findProvisioning: [[ID]],
    markProvisioned: [
      [ID, NOW, null],
      [ID, NOW, NOW],
    ],
    reactivateUser: [[ID, NOW]],
    markErased: [[ID, NOW]],
    listPeopleToCheck: [
      [null, NOW, 10],
      [ID, NOW, 10],
    ],
    markUnprovisioned: [[ID]],
    updateDisplayName: [
      [ID, 'Ada'],
      [ID, null],
    ],
  }),
  statements('pushed-requests', pushedRequests, {
    insertPushedRequest: [
      [{ digest: HASH, clientId: ID, parameters: {}, signed: false, over: NOW, expiresAt: NOW }],
    ],
    findPushedRequest: [[HASH, ID, NOW]],
  }),
  statements('ping', ping, { pingDatabase: [[]] }),
  statements('terms', terms, {
    insertTerms: [[ID, { uri: 'https://a.test/', version: '1' }, NOW]],
    hasAcceptedTerms: [[ID]],
  }),
  statements('approvals', approvals, {
    listWaiting: [
      [null, 10],
      [ID, 10],
    ],
    requestApproval: [[ID, 'en', NOW]],
    approveWaiting: [[ID]],
    deleteWaiting: [[ID]],
  }),
  statements('captcha', captcha, {
    claimCaptcha: [[HASH, NOW]],
    deleteOldCaptchas: [[NOW, 10]],
  }),

  statements('admin-upstream', adminUpstream, {
    listUpstreamLinks: PAGES.flatMap((page) => [
      [{ userId: ID, providerId: ID, subject: 's', accountName: 'a' }, page],
      [{ userId: undefined, providerId: undefined, subject: undefined, accountName: undefined }, page],
    ]),
    countUpstreamLinks: countings([
      { userId: ID, providerId: undefined, subject: undefined, accountName: undefined },
    ]),
    insertUpstreamLink: [[{ id: ID, providerId: ID, subject: 's', userId: ID, accountName: null, now: NOW }]],
    adoptUpstreamLink: [[ID, 's', ID]],
    removeUpstreamLink: [[ID]],
    listUpstreamProviders: PAGES.flatMap((page) => [
      [true, page],
      [undefined, page],
    ]),
    countUpstreamProviders: countings([undefined]),
    findUpstreamProvider: [[ID]],
  }),
  statements('upstream-providers', upstreamProviders, {
    upsertUpstreamProvider: [
      [
        {
          id: ID,
          issuer: null,
          humanName: 'Harbour',
          brandName: null,
          registrationTokenRequired: false,
          now: NOW,
        },
      ],
    ],
    disableOtherProviders: [[[ID], NOW]],
  }),
  statements('operator-providers', operatorProviders, {
    listOperatorProviders: [[]],
    insertOperatorProvider: [[{ ...OPERATOR_PROVIDER, now: NOW, disabledAt: null }]],
    updateOperatorProvider: [[OPERATOR_PROVIDER, ID]],
    switchOperatorProvider: [
      [ID, NOW],
      [ID, null],
    ],
    deleteOperatorProvider: [[ID]],
    lockProvider: [[ID]],
    countProviderAccounts: [[ID]],
  }),
  statements('directory-links', directoryLinks, {
    findDirectoryLink: [[ID]],
    insertDirectoryLink: [[{ userId: ID, entryId: 'x', dn: 'cn=x', now: NOW }]],
    touchDirectoryLink: [[{ userId: ID, entryId: 'x', dn: 'cn=x', now: NOW }]],
    deleteDirectoryLink: [[ID]],
  }),
  statements('upstream-links', upstreamLinks, {
    meetUpstreamLink: [[{ id: ID, providerId: ID, subject: 's', accountName: null, now: NOW }]],
    findUpstreamLink: [[ID]],
    ownUpstreamLink: [[ID, ID, NOW]],
    touchUpstreamLink: [[ID, ID, NOW]],
    listUpstreamLinksAt: [[ID, ID]],
    wasAskedForEmail: [[ID, HASH]],
    noteAskedForEmail: [[ID, ID, HASH]],
    deleteUpstreamLinksAt: [[ID, ID]],
    listLinkedIdentities: [[ID]],
    deleteUpstreamLink: [[ID, ID]],
  }),
  statements('upstream-sessions', upstreamSessions, {
    insertUpstreamSession: [
      [
        {
          id: ID,
          providerId: ID,
          browserHash: HASH,
          stateHash: HASH,
          sealedSecrets: 'v1.a.b',
          continuation: '',
          now: NOW,
        },
      ],
    ],
    claimUpstreamSession: [[{ stateHash: HASH, providerId: ID, browserHash: HASH, since: NOW, now: NOW }]],
    completeUpstreamSession: [
      [ID, { linkId: ID, answer: {}, subject: 's', sid: null, sealedIdToken: null, now: NOW }],
    ],
    findCompletedSession: [[ID, HASH, NOW]],
    findJustConsumedSession: [[ID, HASH, NOW]],
    findUpstreamAnswer: [[ID]],
    consumeUpstreamSession: [[ID, ID, NOW]],
    findSealedIdToken: [[ID]],
    listSessionsThrough: [[ID, { subject: 's', sid: null }]],
  }),
  statements('logout-returns', logoutReturns, {
    insertLogoutReturn: [[{ stateHash: HASH, browserHash: HASH, target: 'https://a.test/', now: NOW }]],
    claimLogoutReturn: [[{ stateHash: HASH, browserHash: HASH, since: NOW }]],
    deleteOldLogoutReturns: [[NOW, 10]],
  }),
  statements('registrations', registrations, {
    insertRegistration: [
      [
        {
          id: ID,
          browserHash: HASH,
          username: 'a',
          usernameFolded: 'a',
          registrationTokenId: null,
          invited: false,
          passwordVersion: 1,
          passwordHash: 'x',
          termsUri: null,
          termsVersion: '',
          continuation: '',
          ip: null,
          userAgent: null,
          now: NOW,
        },
      ],
    ],
    findRegistration: [[ID]],
    completeRegistration: [[ID, 'A', NOW]],
    renameRegistration: [[ID, 'b', 'b']],
    findLiveRegistration: [[HASH, NOW]],
    setRegistrationContinuation: [[ID, '']],
    deleteUnfinishedRegistrations: [[HASH]],
    setRegistrationToken: [[ID, ID]],
    markNeedsApproval: [[ID]],
    findReservation: [
      ['b', HASH, NOW, null],
      ['b', HASH, NOW, ID],
    ],
  }),
  statements('used-jwts', usedJwts, { insertUsedJwt: [[HASH, NOW]] }),
  statements('signing-keys', signingKeys, {
    listSigningKeys: [[]],
    insertSigningKey: [[{ kid: 'k', sealedKey: 's', now: NOW, signsFrom: NOW }]],
    deleteSigningKey: [['k']],
  }),
  statements('sessions', sessions, {
    listActiveSessions: [[ID, 10]],
    searchActiveSessions: (['active', 'created'] as const).map((sort) => [
      ID,
      ID,
      { kind: 'apps', text: 'a', sort, limit: 25, offset: 0 },
    ]),
    findActiveSession: [[ID, ID]],
    findActiveDevice: [[ID, 'DEVICE']],
    countActiveSessions: [[ID]],
    lockSessionsOf: [[ID]],
    lockSignIn: [[ID, ID]],
    countAppSessions: [[ID]],
    recordActivity: [
      ['browser', { ids: [ID], times: [NOW], ips: [null] }],
      ['oauth', { ids: [ID], times: [NOW], ips: ['::1'] }],
      ['compat', { ids: [ID], times: [NOW], ips: [null] }],
      ['personal', { ids: [ID], times: [NOW], ips: [null] }],
    ],
  }),
  statements('session-limit', sessionLimit, {
    countOtherAppSessions: [
      [ID, null],
      [ID, 'DEVICE'],
    ],
    finishIdlestCompatSessions: [[ID, 'DEVICE', 1, NOW]],
  }),
  statements('clean-up', cleanUp, {
    deleteOldIdempotencyKeys: [[NOW, 10]],
    deleteExpiredJwts: [[NOW, 10]],
    deleteOldPushedRequests: [[NOW, 10]],
    deleteOldSecurityEvents: [[ID, 10]],
    deleteOldAuditEntries: [[ID, 10]],
    deleteReplacedPasswords: [[NOW, 10]],
    deleteOldInvitations: [[NOW, 10]],
    deleteOldGrants: [[NOW, 10]],
    deleteOldDeviceGrants: [[NOW, 10]],
    deleteOldCompatLogins: [[NOW, 10]],
    deleteOldRegistrations: [[NOW, NOW, 10]],
    deleteOldMails: [[NOW, 10]],
    deleteOldRecoveries: [[NOW, 10]],
    deleteOldTickets: [[NOW, 10]],
    deleteOldVerifications: [[NOW, 10]],
    deleteOldUpstreamSessions: [[NOW, 10]],
    deleteUnownedLinks: [[NOW, 10]],
    deleteOldBrowsers: [[NOW, 10]],
  }),
  statements('clean-up-sessions', cleanUpSessions, {
    deleteEndedOauthSessions: [[NOW, 10]],
    deleteSpentClientSessions: [[NOW, 10]],
    deleteEndedCompatSessions: [[NOW, 10]],
    deleteEndedPersonalSessions: [[NOW, 10]],
    deleteEndedBrowserSessions: [[NOW, 10]],
    deleteRevokedPersonalTokens: [[NOW, 10]],
    countBlocks: [['tokens']],
    deleteSpentTokens: [
      ['tokens', { from: 0, to: 10 }, { replaced: NOW, expired: NOW }],
      ['compat_tokens', { from: 0, to: 10 }, { replaced: NOW, expired: NOW }],
    ],
    forgetAddresses: [
      ['oauth_sessions', { from: 0, to: 10 }, NOW],
      ['browser_sessions', { from: 0, to: 10 }, NOW],
    ],
  }),
  statements('jobs', jobs, {
    listJobs: listed([
      { state: 'dead', name: 'sync-devices' },
      { state: undefined, name: undefined },
    ] as never),
    countListedJobs: countings([{ state: 'waiting', name: undefined }]),
    findJob: [[ID]],
    findRetry: [['sync-devices', { user_id: ID }]],
    reviveJob: [[ID]],
    hurryJobs: [[['sync-devices']]],
  }),
  statements('settings', settings, { findSetting: [['key']], putSetting: [['key', { a: 1 }]] }),
  statements('tokens', tokens, {
    findActiveAccessTokens: [[[HASH], NOW]],
    findActiveRefreshToken: [[HASH]],
    markFirstUse: [[{ session_id: ID, id: ID }, NOW]],
    insertTokenPair: [
      [
        {
          sessionId: ID,
          id: ID,
          accessHash: HASH,
          refreshHash: HASH,
          expiresAt: NOW,
        },
      ],
    ],
    findRefreshToken: [[HASH]],
    rotateRefreshTokens: [true, false].map((waits) => [
      [
        {
          hash: HASH,
          clientId: ID,
          next: { id: ID, accessHash: HASH, refreshHash: HASH, expiresAt: NOW, dpopJkt: undefined },
        },
      ],
      { authMethod: 'none', now: NOW, waits },
    ]),
    insertAccessToken: [
      [
        { hash: HASH, clientId: ID, before: NOW },
        { id: ID, accessHash: HASH, expiresAt: NOW, dpopJkt: undefined },
      ],
    ],
    renewSuccessor: [
      [ID, { id: ID, accessHash: HASH, refreshHash: HASH, expiresAt: NOW, dpopJkt: 'key' }, false],
    ],
    findTokenSession: [
      [HASH, 'access'],
      [HASH, 'refresh'],
    ],
  }),
  statements('mails', mails, {
    insertMail: [[{ id: ID, kind: 'test', sealedContent: 'x', expiresAt: null, now: NOW }]],
    findMail: [[ID]],
    deleteMail: [[ID]],
    noteMailFailure: [
      [ID, 'why', false, NOW],
      [ID, 'why', true, NOW],
    ],
    listFailedMails: [[true, 10]],
    listFailedMailPage: listed([{ givenUp: true }, { givenUp: undefined }]),
    countFailedMails: countings([{ givenUp: false }]),
    reviveMails: [
      [ID, NOW],
      [null, NOW],
    ],
  }),
  statements('email-verifications', emailVerifications, {
    insertProvenVerification: [[{ id: ID, registrationId: ID, email: 'a@b.org', codeHash: HASH, now: NOW }]],
    insertEmailVerification: [
      [
        {
          id: ID,
          owner: { registrationId: ID },
          email: 'a@b',
          codeHash: HASH,
          codeExpiresAt: NOW,
          fromProvider: false,
          now: NOW,
        },
      ],
      [
        {
          id: ID,
          owner: { userId: ID },
          email: 'a@b',
          codeHash: HASH,
          codeExpiresAt: NOW,
          fromProvider: true,
          now: NOW,
        },
      ],
    ],
    findRegistrationVerification: [[ID]],
    findUserVerification: [[ID, ID]],
    listOpenVerifications: [[ID, NOW]],
    renewEmailVerification: [[ID, { email: 'a@b', codeHash: HASH, codeExpiresAt: NOW }]],
    completeEmailVerification: [[ID, HASH, NOW]],
    reopenEmailVerification: [[ID, HASH, NOW]],
    deleteUserVerification: [[ID, ID]],
  }),
  statements('known-browsers', knownBrowsers, {
    noteKnownBrowser: [[ID, HASH, NOW]],
    deleteKnownBrowsers: [[ID]],
  }),
  statements('pending-deactivations', pendingDeactivations, {
    insertPendingDeactivation: [
      [{ userId: ID, digest: HASH, erase: true, keepLocked: false, now: NOW, dueAt: NOW }],
    ],
    findPendingDeactivation: [[HASH]],
    findDeactivationDate: [['alice']],
    claimPendingDeactivation: [[HASH]],
    deletePendingDeactivation: [[ID]],
    keepLockedAfterDeactivation: [[ID]],
    claimDueDeactivation: [[NOW]],
  }),
  statements('recoveries', recoveries, {
    insertRecovery: [
      [
        {
          id: ID,
          browserHash: HASH,
          email: 'a@b',
          continuation: '',
          ip: null,
          userAgent: null,
          acceptLanguage: null,
          now: NOW,
        },
      ],
    ],
    findRecovery: [[ID]],
    listRecoverable: [['a@b']],
    insertRecoveryTicket: [[{ digest: HASH, userId: ID, recoveryId: null, now: NOW, expiresAt: NOW }]],
    findRecoveryTicket: [[HASH]],
    findJustUsedTicket: [[HASH, NOW]],
    claimRecoveryTicket: [[HASH, NOW]],
    voidRecoveryTickets: [[ID, NOW]],
  }),
  statements('security-events', securityEvents, {
    insertSecurityEvent: [
      [
        {
          id: ID,
          userId: ID,
          kind: 'locked',
          at: NOW,
          actor: 'self',
          ip: null,
          userAgent: null,
          details: { email: 'a@b' },
        },
      ],
    ],
    listSecurityEvents: [
      [ID, null, 10],
      [ID, ID, 10],
    ],
    findSecurityEventSince: [[ID, 'locked', NOW]],
    findMailRecipient: [[ID]],
  }),
  statements('user-emails', userEmails, {
    listUserEmails: [[ID]],
    lockUserEmails: [[ID]],
    clearPrimaryEmail: [[ID]],
    markPrimaryEmail: [[ID, ID]],
    deleteUserEmail: [[ID, ID]],
  }),
  statements('users', users, {
    insertUser: [[{ id: ID, username: 'a', folded: 'a', displayName: null, isAdmin: false, now: NOW }]],
    findUserByName: [['a', 'a']],
    findUserAndPassword: [['a', 'a']],
    findUser: [[ID]],
    findUserByEmail: [['a@b']],
    findUserByEntry: [['x']],
    anyUserExists: [[]],
    lockFirstAccount: [[]],
    lockUser: [[ID, NOW]],
    unlockUser: [[ID]],
    deactivateUser: [[ID, NOW]],
    insertEmail: [[{ id: ID, userId: ID, email: 'a@b', folded: 'a@b', now: NOW }]],
    deleteEmails: [[ID]],
    findPassword: [[ID]],
    insertPassword: [[{ id: ID, userId: ID, version: 1, hash: 'x', now: NOW }]],
    rehashPassword: [[ID, 1, 'x']],
    deletePasswords: [[ID]],
    forgetProvisioning: [[]],
    listUnprovisioned: [[null, 10]],
    setAdmin: [[ID, true]],
    listAdmins: [[]],
  }),
]

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  // The queue makes its own tables, at its first use.
  const queue = createJobs({ uri: database.uri }, createLog({ json: false, level: 'error' }))
  await queue.runDue({} as JobHandlers)
  await queue.stop()
})
afterAll(() => database.drop())

test('every file of sql/ is looked at', () => {
  const files = [...new Glob('*.ts').scanSync(join(import.meta.dirname, '..', '..', 'sql'))]
  const names = files.map((file) => file.replace('.ts', ''))
  expect(names.sort()).toEqual([...OTHER_FILES, ...FILES.map(({ file }) => file)].sort())
})

describe.each(FILES.map((file) => [file.file, file] as const))('sql/%s.ts', (_file, { module, samples }) => {
  test.each(Object.keys(module))('%s is accepted by the migrated schema', async (name) => {
    expect(samples[name]?.length ?? 0).toBeGreaterThan(0)
    for (const args of samples[name] ?? []) {
      const query = module[name]?.(database.sql, ...args) as { describe(): Promise<{ string: string }> }
      const { string: text } = await query.describe()
      // A list of columns is a promise to the row's type; `*` changes with the schema.
      expect(text).not.toMatch(/select \*|returning \*/i)
    }
  })
})
