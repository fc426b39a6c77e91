import type { RegisterContexts } from './contexts-register.ts'
import {
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

/** Pages of the sign-up beside its first. */
export const registerSamples: { [P in keyof RegisterContexts | 'register_display_name']: Sample<P>[] } = {
  register_display_name: [
    {
      label: 'empty',
      context: { form: { display_name: '', ...NO_ERRORS }, username: 'alice', registration_id: GRANT },
    },
    {
      label: 'a name that a provider decided about',
      context: {
        form: { display_name: 'Alice', ...NO_ERRORS },
        username: 'alice',
        decided: true,
        registration_id: GRANT,
      },
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
        rename: true,
        registration_id: HOSTILE,
      },
    },
  ],
  register_token: [
    { label: 'fresh', context: { registration_id: GRANT, form: { token: '', errors: {} } } },
    {
      label: 'unknown',
      context: { registration_id: GRANT, form: { token: LONG, errors: { token: [{ code: 'invalid' }] } } },
    },
    {
      label: 'rate limited',
      context: {
        registration_id: GRANT,
        form: {
          token: 'Wd9kT2mQx7Lp',
          errors: {},
          form_error: { code: 'rate_limited', retry_after_seconds: 30 },
        },
      },
    },
    { label: 'hostile', context: { registration_id: HOSTILE, form: { token: HOSTILE, errors: {} } } },
  ],
  register_resume: [
    { label: 'plain', context: { mxid: '@alice:example.org', continuation: '' } },
    {
      label: 'on the way to a client, with an invitation',
      context: {
        mxid: `@${LONG}:example.org`,
        token: 'Wd9kT2mQx7Lp',
        continuation: CONTINUATION,
        client: ELEMENT,
      },
    },
    { label: 'hostile', context: { mxid: HOSTILE, token: HOSTILE, continuation: HOSTILE } },
  ],
  terms: [
    {
      label: 'never accepted',
      context: {
        mxid: '@alice:example.org',
        terms_uri: 'https://example.org/terms',
        terms_version: '',
        accepted_before: false,
        continuation: '',
      },
    },
    {
      label: 'a new version',
      context: {
        mxid: '@alice:example.org',
        terms_uri: 'https://example.org/terms',
        terms_version: '2026-11',
        accepted_before: true,
        continuation: CONTINUATION,
      },
      base: { back: BACK },
    },
    {
      label: 'hostile',
      context: {
        mxid: HOSTILE,
        terms_uri: HOSTILE_URI,
        terms_version: HOSTILE,
        accepted_before: true,
        continuation: HOSTILE,
      },
    },
  ],
  account_waiting: [
    {
      label: 'waiting, mail follows',
      context: { mxid: '@alice:example.org', state: 'waiting', mail: true, continuation: '' },
    },
    {
      label: 'waiting, no mail',
      context: { mxid: `@${LONG}:example.org`, state: 'waiting', mail: false, continuation: CONTINUATION },
    },
    {
      label: 'rejected',
      context: { mxid: '@alice:example.org', state: 'rejected', mail: true, continuation: '' },
    },
    { label: 'hostile', context: { mxid: HOSTILE, state: 'waiting', mail: true, continuation: HOSTILE } },
  ],
}
