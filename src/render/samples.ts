import type { PageName } from './contexts.ts'
import {
  ALICE,
  BACK,
  CONTINUATION,
  ELEMENT,
  GRANT,
  HOSTILE,
  HOSTILE_URI,
  LONG,
  NO_ERRORS,
  RTL_NAME,
  type Sample,
} from './sample-base.ts'
import { accountSamples } from './samples-account.ts'
import { captchaSamples } from './samples-captcha.ts'
import { compatSamples } from './samples-compat.ts'
import { deactivationSamples } from './samples-deactivation.ts'
import { deviceSamples } from './samples-device.ts'
import { emailSamples } from './samples-email.ts'
import { logoutSamples } from './samples-logout.ts'
import { recoverySamples } from './samples-recovery.ts'
import { registerSamples } from './samples-register.ts'
import { sessionLimitSamples } from './samples-session-limit.ts'
import { tokenSamples } from './samples-tokens.ts'
import { loginWithProviders, upstreamSamples } from './samples-upstream.ts'

/** Several states of every page: plain, with errors, with long and right-to-left names, with hostile values. */
export const samples: { [P in PageName]: Sample<P>[] } = {
  index: [
    { label: 'signed out', context: { registration_enabled: true } },
    {
      label: 'no registration, standalone',
      context: { registration_enabled: false },
      base: { standalone: true },
    },
    { label: 'signed in', context: { registration_enabled: true }, base: { session: ALICE } },
    {
      label: 'long names',
      context: { registration_enabled: true },
      base: {
        session: {
          username: LONG.toLowerCase(),
          mxid: `@${LONG.toLowerCase()}:a-rather-long-server-name.example.org`,
          display_name: LONG,
        },
        branding: {
          service_name: LONG,
          imprint: LONG,
          links: [{ name: LONG, uri: 'https://example.org/' }],
          accent: 'violet',
        },
      },
    },
    {
      label: 'right to left',
      context: { registration_enabled: true },
      base: { dir: 'rtl', session: { username: 'nora', mxid: '@nora:example.org', display_name: RTL_NAME } },
    },
    {
      label: 'hostile',
      context: { registration_enabled: true },
      base: {
        session: { username: HOSTILE, mxid: HOSTILE, display_name: HOSTILE },
        server_name: HOSTILE,
        csrf: HOSTILE,
        branding: {
          service_name: HOSTILE,
          favicon_uri: HOSTILE_URI,
          contact_uri: HOSTILE_URI,
          links: [{ name: HOSTILE, uri: HOSTILE_URI }],
          logo_uri: HOSTILE_URI,
          policy_uri: HOSTILE_URI,
          tos_uri: HOSTILE,
          imprint: HOSTILE,
        },
      },
    },
  ],
  login: [
    {
      label: 'empty',
      context: {
        form: { username: '', ...NO_ERRORS },
        continuation: '',
        registration_enabled: true,
        recovery_enabled: true,
      },
    },
    ...loginWithProviders,
    {
      label: 'for a client, standalone',
      context: {
        form: { username: '', ...NO_ERRORS },
        continuation: CONTINUATION,
        registration_enabled: true,
        recovery_enabled: true,
        client: ELEMENT,
      },
      base: { standalone: true },
    },
    {
      label: 'wrong password',
      context: {
        form: { username: 'alice', errors: {}, form_error: { code: 'invalid_credentials' } },
        continuation: CONTINUATION,
        registration_enabled: true,
        recovery_enabled: true,
        client: ELEMENT,
      },
    },
    {
      label: 'rate limited',
      context: {
        form: {
          username: 'alice',
          errors: {},
          form_error: { code: 'rate_limited', retry_after_seconds: 75 },
        },
        continuation: '',
        registration_enabled: false,
        recovery_enabled: false,
      },
    },
    {
      label: 'missing fields',
      context: {
        form: {
          username: '',
          errors: { username: [{ code: 'required' }], password: [{ code: 'required' }] },
        },
        continuation: '',
        registration_enabled: true,
        recovery_enabled: true,
        notice: 'signed_out',
      },
    },
    {
      label: 'once more, for a client',
      context: {
        form: { username: 'alice', ...NO_ERRORS },
        continuation: CONTINUATION,
        registration_enabled: false,
        recovery_enabled: false,
        client: ELEMENT,
        notice: 'reauthenticate',
        person: ALICE,
        other_account: true,
      },
      base: { session: ALICE },
    },
    {
      label: 'the app asks for somebody, wrong password',
      context: {
        form: { username: 'nora', errors: {}, form_error: { code: 'invalid_password' } },
        continuation: CONTINUATION,
        registration_enabled: false,
        recovery_enabled: false,
        client: ELEMENT,
        notice: 'expected',
        person: { username: 'nora', mxid: '@nora:example.org', display_name: RTL_NAME },
        other_account: false,
      },
    },
    {
      label: 'hostile',
      context: {
        form: { username: HOSTILE, ...NO_ERRORS },
        continuation: HOSTILE,
        registration_enabled: false,
        recovery_enabled: false,
        notice: 'expected',
        person: { username: HOSTILE, mxid: HOSTILE, display_name: HOSTILE },
        other_account: true,
      },
    },
    {
      label: 'right to left',
      context: {
        form: { username: 'nora', errors: {}, form_error: { code: 'expired_form' } },
        continuation: '',
        registration_enabled: true,
        recovery_enabled: true,
        client: { name: RTL_NAME, host: 'example.org' },
      },
      base: { dir: 'rtl' },
    },
    {
      label: 'hostile',
      context: {
        form: {
          username: HOSTILE,
          errors: { username: [{ code: 'banned', message: HOSTILE }] },
          form_error: { code: 'not_allowed', message: HOSTILE },
        },
        continuation: HOSTILE,
        registration_enabled: true,
        recovery_enabled: true,
        client: {
          name: HOSTILE,
          host: HOSTILE,
          logo_uri: HOSTILE_URI,
          policy_uri: HOSTILE_URI,
          tos_uri: HOSTILE,
        },
      },
    },
  ],
  register: [
    {
      label: 'empty',
      context: {
        form: { username: '', accept_terms: false, ...NO_ERRORS },
        minimum_complexity: 3,
        continuation: '',
      },
    },
    {
      label: 'with terms, for a client',
      context: {
        form: { username: 'alice', email: 'alice@example.org', accept_terms: true, ...NO_ERRORS },
        username_check: 'available',
        minimum_complexity: 3,
        terms_uri: 'https://example.org/terms',
        continuation: CONTINUATION,
        client: ELEMENT,
      },
    },
    {
      label: 'errors',
      context: {
        form: {
          username: '12345',
          accept_terms: false,
          email: HOSTILE,
          errors: {
            email: [{ code: 'not_allowed' }],
            username: [{ code: 'all_numeric' }, { code: 'taken' }],
            password: [{ code: 'too_weak' }],
            password_confirm: [{ code: 'mismatch' }],
            accept_terms: [{ code: 'terms_required' }],
          },
        },
        minimum_complexity: 3,
        password_feedback: { warning: 'topTen', suggestions: ['anotherWord', 'useWords', 'unknown_key'] },
        terms_uri: 'https://example.org/terms',
        continuation: '',
      },
    },
    {
      label: 'too long, arguments missing, standalone',
      context: {
        form: {
          username: LONG,
          accept_terms: false,
          errors: { username: [{ code: 'too_long', args: { max: 64 } }], password: [{ code: 'too_short' }] },
          form_error: { code: 'unavailable' },
        },
        minimum_complexity: 0,
        continuation: '',
      },
      base: { standalone: true, server_name: 'a-rather-long-server-name.matrix.example.org' },
    },
    {
      label: 'hostile',
      context: {
        form: { username: HOSTILE, accept_terms: false, errors: { [HOSTILE]: [{ code: 'invalid' }] } },
        username_check: 'taken',
        minimum_complexity: 3,
        password_feedback: { warning: HOSTILE, suggestions: [HOSTILE] },
        terms_uri: HOSTILE_URI,
        continuation: HOSTILE,
      },
      base: { server_name: HOSTILE },
    },
    ...captchaSamples,
  ],
  register_disabled: [
    { label: 'plain', context: { continuation: '' } },
    { label: 'on the way to a client', context: { continuation: CONTINUATION }, base: { standalone: true } },
  ],
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
          { code: 'offline_access', dangerous: false },
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
  ...deviceSamples,
  ...compatSamples,
  policy_violation: [
    {
      label: 'of a device',
      context: {
        violations: [{ code: 'scope-not-allowed', message: 'The scope x may not be granted.' }],
        client: ELEMENT,
        device_grant_id: GRANT,
      },
      base: { session: ALICE },
    },
    {
      label: 'of a legacy client',
      context: {
        violations: [{ code: 'too-many-sessions' }],
        client: { name: 'chat.tern.example' },
        compat_login_id: GRANT,
      },
      base: { session: ALICE },
    },
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
  session_ended: [
    { label: 'plain', context: { continuation: CONTINUATION } },
    { label: 'standalone', context: { continuation: '' }, base: { standalone: true } },
  ],
  error: [
    { label: 'bare', context: {} },
    {
      label: 'all parts',
      context: {
        title: 'We do not know this app',
        description: 'The app that sent you here is not known to this service. Go back to it and try again.',
        code: 'invalid_client',
        reference_id: '7KQ2-M4XH',
      },
      base: { back: BACK },
    },
    {
      label: 'hostile',
      context: {
        title: HOSTILE,
        description: HOSTILE,
        code: HOSTILE,
        reference_id: HOSTILE,
      },
      base: { back: { url: HOSTILE_URI, name: HOSTILE } },
    },
  ],
  not_found: [
    { label: 'plain', context: {}, base: { reference_id: 'K7QW2M9X' } },
    { label: 'standalone, way back', context: {}, base: { standalone: true, back: BACK } },
  ],
  rate_limited: [
    { label: 'seconds', context: { retry_after_seconds: 1 }, base: { reference_id: 'K7QW2M9X' } },
    {
      label: 'minutes, way back',
      context: { retry_after_seconds: 1210 },
      base: { back: BACK },
    },
    { label: 'hours', context: { retry_after_seconds: 7201 } },
  ],
  ...accountSamples,
  ...tokenSamples,
  ...upstreamSamples,
  ...sessionLimitSamples,
  ...logoutSamples,
  ...emailSamples,
  ...registerSamples,
  ...recoverySamples,
  ...deactivationSamples,
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
}
