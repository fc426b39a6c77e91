import { ALICE, ELEMENT, GRANT, HOSTILE, HOSTILE_URI, LONG, RTL_NAME, type Samples } from './parts.ts'

/** Pages of the way to an app. */
export const consentSamples = {
  consent: [
    {
      label: 'known client',
      context: {
        client: {
          ...ELEMENT,
          client_uri: 'https://tern.example/',
          policy_uri: 'https://tern.example/privacy',
          tos_uri: 'https://tern.example/terms',
          redirect_host: 'tern.example',
          redirect_kind: 'web',
        },
        user: { mxid: ALICE.mxid, display_name: ALICE.display_name },
        scopes: [
          { code: 'openid', dangerous: false },
          { code: 'matrix_api', dangerous: false },
          { code: 'device', dangerous: false },
        ],
        grant_id: GRANT,
        remembered: true,
      },
    },
    {
      label: 'dangerous scopes, app on this device',
      context: {
        client: { name: 'Ops console', redirect_host: 'org.example.ops', redirect_kind: 'app' },
        user: { mxid: ALICE.mxid },
        scopes: [
          { code: 'profile', dangerous: false },
          { code: 'email', dangerous: false },
          { code: 'synapse_admin', dangerous: true },
          { code: 'mas_admin', dangerous: true },
          { code: 'other', text: 'urn:example:custom', dangerous: false },
        ],
        grant_id: GRANT,
        remembered: false,
      },
      base: { standalone: true },
    },
    {
      label: 'nothing to list',
      context: {
        client: { name: 'Tern', redirect_host: 'localhost', redirect_kind: 'app' },
        user: { mxid: ALICE.mxid },
        scopes: [{ code: 'device', dangerous: false }],
        grant_id: GRANT,
        remembered: false,
      },
    },
    {
      label: 'long and right-to-left names',
      context: {
        client: {
          name: LONG,
          host: `${LONG.toLowerCase()}.example`,
          redirect_host: 'x.example',
          redirect_kind: 'web',
        },
        user: { mxid: `@${LONG.toLowerCase()}:example.org`, display_name: RTL_NAME },
        scopes: [{ code: 'matrix_api', dangerous: false }],
        grant_id: GRANT,
        remembered: true,
      },
      base: { dir: 'rtl' },
    },
    {
      label: 'hostile',
      context: {
        client: {
          name: HOSTILE,
          host: HOSTILE,
          logo_uri: HOSTILE_URI,
          client_uri: HOSTILE_URI,
          policy_uri: HOSTILE,
          tos_uri: HOSTILE_URI,
          redirect_host: HOSTILE,
          redirect_kind: 'web',
        },
        user: { mxid: HOSTILE, display_name: HOSTILE },
        scopes: [{ code: 'other', text: HOSTILE, dangerous: true }],
        grant_id: HOSTILE,
        remembered: true,
      },
    },
  ],
  policy_violation: [
    {
      label: 'too many sessions',
      context: { violations: [{ code: 'too_many_sessions' }], client: ELEMENT, grant_id: GRANT },
      base: { session: ALICE },
    },
    {
      label: 'unknown code, no grant',
      context: { violations: [{ code: 'weekday' }] },
    },
    {
      label: 'hostile',
      context: {
        violations: [{ code: HOSTILE, message: HOSTILE }],
        client: { name: HOSTILE },
        grant_id: HOSTILE,
      },
      base: { session: ALICE },
    },
  ],
  form_post: [
    {
      label: 'plain',
      context: {
        redirect_uri: 'https://tern.example/callback',
        params: [
          ['code', 'abc'],
          ['state', 'xyz'],
        ],
        client: ELEMENT,
      },
    },
    { label: 'hostile', context: { redirect_uri: HOSTILE_URI, params: [[HOSTILE, HOSTILE]] } },
  ],
} satisfies Partial<Samples>
