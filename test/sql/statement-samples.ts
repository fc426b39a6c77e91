import type { Sql } from '../../sql/connect.ts'

export const ID = '018f0000-0000-7000-8000-000000000000'
export const HASH = new Uint8Array(32)
export const NOW = new Date('2026-11-24T12:00:00Z')
export const METADATA = { client_name: 'App' }

/** Arguments of a query function after the database; several where the text depends on them. */
export type Samples<Module> = {
  [Name in keyof Module]: Module[Name] extends (sql: never, ...args: infer Args) => unknown ? Args[] : never
}

/** A file and sample arguments for each of its exports: a new export without them does not compile, and fails. */
export const statements = <Module extends object>(
  file: string,
  module: Module,
  samples: Samples<Module>,
) => ({
  file,
  module: module as Record<string, (sql: Sql, ...args: unknown[]) => unknown>,
  samples: samples as Record<string, unknown[][]>,
})

/** The first page of a list, and one from its middle towards its beginning. */
export const PAGES = [
  { size: 10, backward: false, after: undefined, before: undefined },
  { size: 10, backward: true, after: ID, before: ID },
]
export const ANY_USER = {
  admin: undefined,
  guest: undefined,
  search: undefined,
  status: undefined,
  clientIds: undefined,
  hasOAuthSession: undefined,
  hasCompatSession: undefined,
}
export const SOME_USERS = {
  admin: true,
  guest: false,
  search: 'a',
  clientIds: [ID],
  hasOAuthSession: true,
  hasCompatSession: false,
  email: 'a@b.test',
}
export const USER_FILTERS = [
  ANY_USER,
  ...(['active', 'locked', 'deactivated'] as const).map((status) => ({ ...SOME_USERS, status })),
]

/** A filter that leaves everything open, and ones that use each of its parts. */
export const ANY_SESSION = {
  userId: undefined,
  browserSessionId: undefined,
  status: undefined,
  createdBefore: undefined,
  createdAfter: undefined,
  activeBefore: undefined,
  activeAfter: undefined,
  clientIds: undefined,
  isStaticClient: undefined,
  scopes: undefined,
}
export const SOME_SESSIONS = {
  userId: ID,
  browserSessionId: ID,
  createdBefore: NOW,
  createdAfter: NOW,
  createdAfterId: ID,
  activeBefore: NOW,
  activeAfter: NOW,
  clientIds: [ID],
  isStaticClient: true,
  scopes: ['openid'],
  ids: [ID],
  exceptId: ID,
}
export const SESSION_FILTERS = [
  ANY_SESSION,
  ...(['active', 'finished'] as const).map((status) => ({ ...SOME_SESSIONS, status })),
]
export const PERSONAL_FILTERS = [undefined, 'active', 'revoked'].map((status) => ({
  ownerUserId: ID,
  ownerClientId: ID,
  actorUserId: ID,
  scopes: ['openid'],
  status: status as 'active' | 'revoked' | undefined,
  expiresBefore: NOW,
  expiresAfter: NOW,
  expires: true,
}))
export const CLIENT_FILTER = { isStatic: true, name: 'a', uri: 'a', grantType: 'a', hasActiveSessions: true }
export const OPERATOR_CLIENT = {
  id: ID,
  authMethod: 'none',
  redirectUris: ['https://app.test/'],
  grantTypes: ['authorization_code'],
  metadata: { client_name: 'App' },
}
export const EMAIL_FILTER = { userId: ID, folded: 'a@b.test' }

/** A provider of the admin API, as it is stored. */
export const OPERATOR_PROVIDER = {
  id: ID,
  issuer: null,
  humanName: 'Harbour',
  brandName: null,
  registrationTokenRequired: false,
  settings: {},
  sealedSecrets: null,
  revision: ID,
}
