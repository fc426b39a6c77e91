import type { AccountContexts } from './contexts-account.ts'
import { ALICE, GRANT, HOSTILE, LONG, NO_ERRORS, type Sample, sampleArea } from './sample-base.ts'
import { sessionSamples } from './samples-sessions.ts'

const PAGE = 'kind=manage_account&page=password/change'
const PASSWORD_FORM = { end_browsers: true, end_apps: false, end_tokens: false, errors: {} }

/** Pages of the account area. */
export const accountSamples: { [P in keyof AccountContexts]: Sample<P>[] } = {
  ...sessionSamples,
  account: [
    {
      label: 'plain',
      context: {
        ...sampleArea('overview'),
        counts: { browsers: 1, apps: 2, emails: 3, clients: 2, tokens: 1 },
        email: 'alice@example.org',
        password_set_at: '2026-03-02T08:00:00.000Z',
        last_event: { kind: 'signed_in', at: '2026-11-24T05:12:00.000Z' },
      },
      base: { session: ALICE },
    },
    {
      label: 'password elsewhere',
      context: {
        ...sampleArea('overview'),
        counts: { browsers: 1, apps: 0, emails: 1, clients: 0, tokens: 0 },
        email: 'alice@example.org',
        password_elsewhere: true,
      },
      base: { session: ALICE },
    },
    {
      label: 'after something',
      context: {
        ...sampleArea('overview', 'session_ended'),
        counts: { browsers: 2, apps: 0, emails: 0, clients: 0, tokens: 0 },
      },
      base: { session: { username: 'bob', mxid: '@bob:example.org' }, standalone: true },
    },
    {
      label: 'hostile',
      context: {
        ...sampleArea('overview'),
        counts: { browsers: 1, apps: 1, emails: 1, clients: 1, tokens: 0 },
        email: HOSTILE,
        last_event: { kind: HOSTILE, at: '2026-11-24T05:12:00.000Z' },
      },
      base: { session: { username: HOSTILE, mxid: HOSTILE, display_name: HOSTILE } },
    },
  ],
  account_confirm: [
    {
      label: 'password',
      context: { ...sampleArea('overview'), way: 'password', form: NO_ERRORS, continuation: PAGE },
      base: { session: ALICE },
    },
    {
      label: 'wrong password',
      context: {
        ...sampleArea('overview'),
        way: 'password',
        form: { errors: {}, form_error: { code: 'invalid_password' } },
        continuation: PAGE,
      },
      base: { session: ALICE },
    },
    {
      label: 'nothing typed',
      context: {
        ...sampleArea('overview'),
        way: 'password',
        form: { errors: { password: [{ code: 'required' }] } },
        continuation: PAGE,
      },
      base: { session: ALICE },
    },
    {
      label: 'no password',
      context: { ...sampleArea('overview'), way: 'sign_in', form: NO_ERRORS, continuation: PAGE },
      base: { session: ALICE },
    },
  ],
  account_profile: [
    {
      label: 'plain',
      context: {
        ...sampleArea('profile', 'name_saved'),
        name_change_allowed: true,
        read_only: false,
        picture: {},
        form: { display_name: 'Alice Liddell', ...NO_ERRORS },
        locale: 'de',
        chosen_zone: 'Europe/Berlin',
        time_zones: ['UTC', ...Intl.supportedValuesOf('timeZone')],
      },
      base: { session: ALICE },
    },
    {
      label: 'homeserver down',
      context: {
        ...sampleArea('profile'),
        name_change_allowed: true,
        read_only: false,
        picture: {},
        form: { display_name: 'Alice', errors: {}, form_error: { code: 'unavailable' } },
        time_zones: ['UTC'],
      },
      base: { session: ALICE },
    },
    {
      label: 'too long',
      context: {
        ...sampleArea('profile'),
        name_change_allowed: true,
        read_only: false,
        picture: {},
        form: { display_name: LONG, errors: { display_name: [{ code: 'too_long', args: { max: 255 } }] } },
        time_zones: ['UTC'],
      },
      base: { session: ALICE },
    },
    {
      label: 'name fixed',
      context: {
        ...sampleArea('profile'),
        name_change_allowed: false,
        read_only: false,
        form: { display_name: 'Alice', ...NO_ERRORS },
        time_zones: ['UTC'],
      },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        ...sampleArea('profile'),
        name_change_allowed: true,
        read_only: false,
        picture: {},
        form: { display_name: HOSTILE, ...NO_ERRORS },
        time_zones: [HOSTILE],
      },
      base: { session: ALICE },
    },
    {
      label: 'homeserver that is only read',
      context: {
        ...sampleArea('profile'),
        name_change_allowed: false,
        read_only: true,
        form: { display_name: 'Alice', ...NO_ERRORS },
        time_zones: ['UTC'],
      },
      base: { session: ALICE },
    },
    {
      label: 'not a picture',
      context: {
        ...sampleArea('profile'),
        name_change_allowed: true,
        read_only: false,
        picture: { path: 'account/picture?v=0123456789abcdef' },
        form: { display_name: 'Alice', errors: { picture: [{ code: 'wrong_type' }] } },
        time_zones: ['UTC'],
      },
      base: { session: ALICE },
    },
  ],
  account_password: [
    {
      label: 'change',
      context: { ...sampleArea('password'), way: 'change', form: PASSWORD_FORM, minimum_complexity: 3 },
      base: { session: ALICE },
    },
    {
      label: 'errors',
      context: {
        ...sampleArea('password'),
        way: 'change',
        form: {
          ...PASSWORD_FORM,
          errors: {
            current_password: [{ code: 'invalid' }],
            password: [{ code: 'too_weak' }],
            password_confirm: [{ code: 'mismatch' }],
          },
        },
        minimum_complexity: 3,
        password_feedback: { warning: 'topTen', suggestions: ['anotherWord'] },
      },
      base: { session: ALICE },
    },
    {
      label: 'limited',
      context: {
        ...sampleArea('password', 'password_changed'),
        way: 'change',
        form: { ...PASSWORD_FORM, form_error: { code: 'rate_limited', retry_after_seconds: 90 } },
        minimum_complexity: 3,
      },
      base: { session: ALICE },
    },
    {
      label: 'none',
      context: { ...sampleArea('password'), way: 'none', form: PASSWORD_FORM, minimum_complexity: 3 },
      base: { session: ALICE },
    },
    {
      label: 'directory',
      context: {
        ...sampleArea('password'),
        way: 'directory',
        password_url: 'https://password.example.com/',
        form: PASSWORD_FORM,
        minimum_complexity: 3,
      },
      base: { session: ALICE },
    },
    {
      label: 'not allowed',
      context: { ...sampleArea('password'), way: 'not_allowed', form: PASSWORD_FORM, minimum_complexity: 3 },
      base: { session: ALICE },
    },
  ],
  account_reset_cross_signing: [
    { label: 'plain', context: { ...sampleArea('overview'), possible: true }, base: { session: ALICE } },
    {
      label: 'homeserver that is only read',
      context: { ...sampleArea('overview'), possible: false },
      base: { session: ALICE },
    },
    {
      label: 'homeserver down',
      context: { ...sampleArea('overview'), possible: true, form_error: { code: 'unavailable' } },
      base: { session: ALICE },
    },
  ],
  account_reset_cross_signing_done: [
    {
      label: 'success',
      context: { ...sampleArea('overview'), outcome: 'success' },
      base: { session: ALICE },
    },
    {
      label: 'cancelled',
      context: { ...sampleArea('overview'), outcome: 'cancelled' },
      base: { session: ALICE },
    },
  ],
  account_plan: [
    {
      label: 'plain',
      context: { ...sampleArea('plan'), uri: 'https://plan.example.org/' },
      base: { session: ALICE },
    },
  ],
  account_security: [
    {
      label: 'events',
      context: {
        ...sampleArea('security'),
        events: [
          {
            kind: 'signed_in',
            at: '2026-11-24T07:12:00.000Z',
            by_admin: false,
            ip: '192.0.2.17',
            device: 'Firefox, Linux',
          },
          {
            kind: 'email_added',
            at: '2026-11-23T07:12:00.000Z',
            by_admin: false,
            about: 'alice@example.org',
          },
          { kind: 'password_changed', at: '2026-10-02T07:12:00.000Z', by_admin: true },
        ],
        first: true,
        older: GRANT,
      },
      base: { session: ALICE, time_zone: 'Europe/Berlin' },
    },
    {
      label: 'a full page, a kind without a text',
      context: {
        ...sampleArea('security'),
        events: [
          { kind: 'something_new', at: '2026-09-02T07:12:00.000Z', by_admin: false },
          ...Array.from({ length: 24 }, () => ({
            kind: 'signed_in_new_browser',
            at: '2026-09-01T17:12:00.000Z',
            by_admin: true,
            ip: '2001:db8:85a3:1f2e:8a2e:370:7334:1234',
            device: 'Firefox, Windows',
            about: 'alice.liddell@mail.example.org',
          })),
        ],
        first: false,
        older: GRANT,
      },
      base: { session: ALICE, time_zone: 'America/Argentina/Buenos_Aires' },
    },
    {
      label: 'none',
      context: { ...sampleArea('security'), events: [], first: false },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        ...sampleArea('security'),
        events: [
          {
            kind: HOSTILE,
            at: '2026-11-24T07:12:00.000Z',
            by_admin: false,
            ip: HOSTILE,
            device: HOSTILE,
            about: HOSTILE,
          },
        ],
        first: true,
        older: HOSTILE,
      },
      base: { session: ALICE },
    },
  ],
  account_data: [
    {
      label: 'plain',
      context: { ...sampleArea('data'), deactivation_allowed: true },
      base: { session: ALICE },
    },
    {
      label: 'limited, no deactivation',
      context: {
        ...sampleArea('data', 'deactivation_not_allowed'),
        deactivation_allowed: false,
        form_error: { code: 'rate_limited', retry_after_seconds: 60 },
      },
      base: { session: ALICE },
    },
  ],
  account_deactivate: [
    {
      label: 'can be taken back',
      context: {
        ...sampleArea('data'),
        step: 'explain',
        erase: false,
        grace: { until: '2026-12-08T07:58:12.000Z', mail: true },
        form: NO_ERRORS,
      },
      base: { session: ALICE },
    },
    {
      label: 'can be taken back, no address',
      context: {
        ...sampleArea('data'),
        step: 'explain',
        erase: true,
        grace: { until: '2026-12-08T07:58:12.000Z', mail: false },
        form: NO_ERRORS,
      },
      base: { session: ALICE },
    },
    {
      label: 'explain',
      context: { ...sampleArea('data'), step: 'explain', erase: false, form: NO_ERRORS },
      base: { session: ALICE },
    },
    {
      label: 'confirm',
      context: { ...sampleArea('data'), step: 'confirm', erase: true, form: NO_ERRORS },
      base: { session: ALICE },
    },
    {
      label: 'another name',
      context: {
        ...sampleArea('data'),
        step: 'confirm',
        erase: false,
        form: { errors: { confirm: [{ code: 'mismatch' }] } },
      },
      base: { session: ALICE },
    },
  ],
}
