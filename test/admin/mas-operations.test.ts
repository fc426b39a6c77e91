import { expect, test } from 'bun:test'
import { OPERATIONS } from '../../src/admin/operations.ts'

const TIMES = 'created-before created-after last-active-before last-active-after'

/** Every operation of MAS 1.22: its filters, the members of its body (`*`: must be there), its status (reference operations 2.3). */
const MAS: [operation: string, filters: string, body: string, status: number][] = [
  ['GET /site-config', '', '', 200],
  ['GET /version', '', '', 200],
  [
    'GET /users',
    'admin legacy-guest search status active-oauth2-client has-active-oauth2-session has-active-compat-session',
    '',
    200,
  ],
  ['POST /users', '', 'username* skip_homeserver_check displayname avatar_url', 201],
  ['GET /users/{id}', '', '', 200],
  ['GET /users/by-username/{username}', '', '', 200],
  ['POST /users/{id}/set-password', '', 'password* skip_password_check', 204],
  ['POST /users/{id}/set-admin', '', 'admin*', 200],
  ['POST /users/{id}/lock', '', '', 200],
  ['POST /users/{id}/unlock', '', '', 200],
  ['POST /users/{id}/deactivate', '', 'skip_erase', 200],
  ['POST /users/{id}/reactivate', '', '', 200],
  ['GET /user-emails', 'user email', '', 200],
  ['POST /user-emails', '', 'user_id* email*', 201],
  ['GET /user-emails/{id}', '', '', 200],
  ['DELETE /user-emails/{id}', '', '', 204],
  ['GET /user-sessions', `user status ${TIMES}`, '', 200],
  ['GET /user-sessions/{id}', '', '', 200],
  ['POST /user-sessions/{id}/finish', '', '', 200],
  ['GET /compat-sessions', `user user-session status ${TIMES}`, '', 200],
  ['GET /compat-sessions/{id}', '', '', 200],
  ['POST /compat-sessions/{id}/finish', '', '', 200],
  ['GET /oauth2-sessions', `user client client-kind user-session scope status ${TIMES}`, '', 200],
  ['GET /oauth2-sessions/{id}', '', '', 200],
  ['POST /oauth2-sessions/{id}/finish', '', '', 200],
  ['GET /oauth2-clients', 'client-kind client-name client-uri grant-type has-active-sessions', '', 200],
  ['GET /oauth2-clients/{id}', '', '', 200],
  [
    'GET /personal-sessions',
    'owner_user owner_client actor_user scope status expires_before expires_after expires',
    '',
    200,
  ],
  ['POST /personal-sessions', '', 'actor_user_id* human_name* scope* expires_in', 201],
  ['GET /personal-sessions/{id}', '', '', 200],
  ['POST /personal-sessions/{id}/revoke', '', '', 200],
  ['POST /personal-sessions/{id}/regenerate', '', 'expires_in', 201],
  ['GET /user-registration-tokens', 'used revoked expired valid', '', 200],
  ['POST /user-registration-tokens', '', 'token usage_limit expires_at', 201],
  ['GET /user-registration-tokens/{id}', '', '', 200],
  ['PUT /user-registration-tokens/{id}', '', 'expires_at usage_limit', 200],
  ['POST /user-registration-tokens/{id}/revoke', '', '', 200],
  ['POST /user-registration-tokens/{id}/unrevoke', '', '', 200],
  ['GET /upstream-oauth-links', 'user provider subject human-account-name', '', 200],
  ['POST /upstream-oauth-links', '', 'user_id* provider_id* subject* human_account_name', 201],
  ['GET /upstream-oauth-links/{id}', '', '', 200],
  ['DELETE /upstream-oauth-links/{id}', '', '', 204],
  ['GET /upstream-oauth-providers', 'enabled', '', 200],
  ['GET /upstream-oauth-providers/{id}', '', '', 200],
  ['POST /policy-data', '', 'data*', 201],
  ['GET /policy-data/latest', '', '', 200],
  ['GET /policy-data/{id}', '', '', 200],
]

const PAGED = ['page[first]', 'page[last]', 'page[after]', 'page[before]', 'count']

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '')

test('all 47 operations of MAS are here', () => expect(MAS).toHaveLength(47))

test.each(MAS)(
  '%s: as in MAS, with every parameter, and nothing more that must be given',
  (name, filters, body, status) => {
    const operation = OPERATIONS.find(({ method, path }) => `${method} ${path}` === name)
    if (!operation) throw new Error('It is not there.')
    expect(operation.success.status).toBe(status as 200)
    const query = Object.keys(operation.query?.properties ?? {})
    for (const filter of words(filters)) expect(query).toContain(`filter[${filter}]`)
    expect(operation.query?.required ?? []).toEqual([])
    // The lists are those that have filters.
    if (filters !== '') for (const parameter of PAGED) expect(query).toContain(parameter)
    const members = words(body)
    expect(Object.keys(operation.body?.properties ?? {})).toEqual(
      expect.arrayContaining(members.map((member) => member.replace('*', ''))),
    )
    const required = members.filter((member) => member.endsWith('*')).map((member) => member.slice(0, -1))
    expect([...(operation.body?.required ?? [])].sort()).toEqual(required.sort())
  },
)
