import {
  ALICE,
  CONTINUATION,
  ELEMENT,
  GRANT,
  HOSTILE,
  HOSTILE_URI,
  LONG,
  NO_ERRORS,
  RTL_NAME,
  type Samples,
} from './parts.ts'

/** Pages of the way into an account. */
export const signInSamples = {
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
        branding: { service_name: LONG, imprint: LONG, accent: 'violet' },
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
      context: { form: { username: '', ...NO_ERRORS }, continuation: '', registration_enabled: true },
    },
    {
      label: 'for a client, standalone',
      context: {
        form: { username: '', ...NO_ERRORS },
        continuation: CONTINUATION,
        registration_enabled: true,
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
        notice: 'signed_out',
      },
    },
    {
      label: 'right to left',
      context: {
        form: { username: 'nora', errors: {}, form_error: { code: 'expired_form' } },
        continuation: '',
        registration_enabled: true,
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
        client: { name: HOSTILE, host: HOSTILE, logo_uri: HOSTILE_URI },
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
        form: { username: 'alice', accept_terms: true, ...NO_ERRORS },
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
          errors: {
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
  ],
  register_disabled: [
    { label: 'plain', context: { continuation: '' } },
    { label: 'on the way to a client', context: { continuation: CONTINUATION }, base: { standalone: true } },
  ],
  register_display_name: [
    {
      label: 'empty',
      context: { form: { display_name: '', ...NO_ERRORS }, username: 'alice', registration_id: GRANT },
    },
    {
      label: 'missing',
      context: {
        form: { display_name: '', errors: { display_name: [{ code: 'required' }] } },
        username: 'alice',
        registration_id: GRANT,
      },
    },
    {
      label: 'right to left',
      context: { form: { display_name: RTL_NAME, ...NO_ERRORS }, username: 'nora', registration_id: GRANT },
      base: { dir: 'rtl' },
    },
    {
      label: 'hostile',
      context: {
        form: { display_name: HOSTILE, errors: { display_name: [{ code: 'banned', message: HOSTILE }] } },
        username: HOSTILE,
        registration_id: HOSTILE,
      },
    },
  ],
  logged_out: [
    { label: 'plain', context: { continuation: '' } },
    { label: 'on the way to a client', context: { continuation: CONTINUATION } },
  ],
} satisfies Partial<Samples>
