import { afterAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createApp, type Resource } from '../../src/app.ts'
import { surfaceOf } from '../../src/http/boundary.ts'
import { withChanged, withHazards } from '../support/fuzz.ts'
import { checkAnswer, sendFuzzed } from '../support/fuzz-answers.ts'
import { createSite } from '../support/fuzz-site.ts'
import { createHarness } from '../support/harness.ts'

/**
 * Every parameter of every endpoint for apps, one at a time in a request that is good otherwise, so that it is read and
 * not stopped at another one. `test/app/fuzz.test.ts` changes several at once, at every route. `LATCHKEY_RUNS=300 bun test
 * test/oauth/parameters.test.ts` is a long search, and `LATCHKEY_SEED=…` repeats one that failed.
 */
const { LATCHKEY_RUNS: runs = '4', LATCHKEY_SEED: seed } = process.env
const RUNS = Number(runs)
const OPTIONS = seed === undefined ? {} : { seed: Number(seed) }
const LIMIT = 60_000 + RUNS * 2000

const CLIENT = ['client_id', 'client_secret', 'client_assertion', 'client_assertion_type']
/** OpenID Connect Core 3.1.2.1, 5.5, 6.1, 7.2.1; RFC 6749, 7636, 8707, 9101, 9449; Multiple Response Types. */
const AUTHORIZATION = [
  ...['client_id', 'redirect_uri', 'response_type', 'response_mode', 'scope', 'state', 'nonce'],
  ...['code_challenge', 'code_challenge_method', 'prompt', 'display', 'max_age', 'ui_locales'],
  ...['claims_locales', 'id_token_hint', 'login_hint', 'acr_values', 'claims', 'request', 'request_uri'],
  ...['registration', 'resource', 'dpop_jkt'],
]
const LOGOUT = [
  'id_token_hint',
  'logout_hint',
  'client_id',
  'post_logout_redirect_uri',
  'state',
  'ui_locales',
]
const source = await Bun.file(new URL('../../src/oauth/client-metadata.ts', import.meta.url)).text()
/** Those of its schema, and what no schema knows. */
const METADATA = [
  ...[...source.matchAll(/^ {2}([a-z_]+): (?:text|uri|Type)/gm)].map(([, name = '']) => name),
  ...['client_name#de', 'logo_uri#fr', 'tls_client_auth_subject_dn', '__proto__', 'constructor'],
]

const PARAMETERS: Record<string, readonly string[]> = {
  'GET /authorize': AUTHORIZATION,
  'POST /authorize': AUTHORIZATION,
  'POST /oauth2/par': [...AUTHORIZATION, ...CLIENT.slice(1)],
  'POST /oauth2/token': [
    ...['grant_type', 'code', 'code_verifier', 'redirect_uri', 'refresh_token', 'device_code', 'scope'],
    ...['resource', ...CLIENT],
  ],
  'POST /oauth2/introspect': ['token', 'token_type_hint', ...CLIENT],
  'POST /oauth2/revoke': ['token', 'token_type_hint', ...CLIENT],
  'GET /oauth2/userinfo': ['access_token'],
  'POST /oauth2/userinfo': ['access_token'],
  'POST /oauth2/device': ['scope', ...CLIENT],
  'POST /oauth2/registration': METADATA,
  'GET /oauth2/registration/{id}': [],
  'PUT /oauth2/registration/{id}': [...METADATA, 'client_id', 'client_secret'],
  'DELETE /oauth2/registration/{id}': [],
  'GET /oauth2/keys.json': [],
  'GET /.well-known/openid-configuration': [],
  'GET /.well-known/oauth-authorization-server': [],
  'GET /.well-known/webfinger': ['resource', 'rel'],
  'GET /end-session': LOGOUT,
  'POST /end-session': LOGOUT,
  'POST /end-session/confirm': [...LOGOUT, 'csrf', 'end_apps'],
  'GET /consent/{id}': [],
  'POST /consent/{id}': ['csrf', 'action'],
  'GET /link': ['code'],
  'POST /link': ['csrf', 'code'],
  'GET /device/{id}': [],
  'POST /device/{id}': ['csrf', 'action', 'confirm_device'],
  'POST /upstream/backchannel-logout/{id}': ['logout_token'],
}

/** Where a good request is good once, so that each parameter needs a fresh one. */
const USED_UP = /^\/(?:oauth2\/(?:token|revoke)|consent|device)/

// Here and not in `beforeAll`: the tests are made from the table.
const harness = await createHarness({ config: { oauth: { device_code_user_code_auto_fill_enabled: true } } })
const resources = ['discovery', 'human', 'oauth'].map((name) => ({ name }) as Resource)
const app = createApp(harness.deps, { resources })
const site = await createSite(harness, app)
afterAll(() => harness.close())

test('no endpoint of the route table is left out, and none is listed that is not there', () => {
  const isOurs = (path: string) =>
    surfaceOf(path) === 'oauth' || /^\/(?:authorize|end-session|consent|link|device)(?:\/|$)/.test(path)
  const there = app.routes.filter(({ path }) => isOurs(path)).map(({ method, path }) => `${method} ${path}`)
  expect([...there].sort()).toEqual(Object.keys(PARAMETERS).sort())
  expect(METADATA.length).toBeGreaterThan(40)
})

describe.each(Object.entries(PARAMETERS).filter(([, names]) => names.length > 0))('%s', (route, names) => {
  const [method = '', path = ''] = route.split(' ')
  let known: Awaited<ReturnType<typeof site.knowledge>> | undefined
  test.each([...names])(
    '%s: no 5xx, no unhandled error, no reflected markup, the error shape of the endpoint',
    async (name) => {
      if (!known || USED_UP.test(path)) known = await site.knowledge(path)
      const requests = withChanged(method, name, known)
      const hazards = withHazards(method, name, known)
      await fc.assert(
        fc.asyncProperty(requests, async (request) => {
          const before = harness.logged.length
          const response = await sendFuzzed(harness, app, path, request)
          await checkAnswer(harness, path, request, response)
          const errors = harness.logged.slice(before).filter(({ level }) => level === 'error')
          expect(errors.map(({ event, fields }) => `${event} ${fields.error}`)).toEqual([])
        }),
        { ...OPTIONS, numRuns: hazards.length + RUNS, examples: hazards.map((one) => [one]) },
      )
    },
    LIMIT,
  )
})
