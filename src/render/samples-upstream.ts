import type { UpstreamContexts } from './contexts-upstream.ts'
import {
  ALICE,
  CONTINUATION,
  ELEMENT,
  GRANT,
  HOSTILE,
  LONG,
  NO_ERRORS,
  RTL_NAME,
  type Sample,
  sampleArea,
} from './sample-base.ts'
import { CHALLENGE } from './samples-captcha.ts'

const IDENTITY = { provider: 'Harbour Login', account: 'alice@harbour.example' }
const SINCE = '2026-11-20T08:00:00.000Z'
const HOSTILE_IDENTITY = { provider: HOSTILE, account: HOSTILE }
const FORM = {
  username: '',
  import_email: true,
  import_display_name: true,
  accept_terms: false,
  ...NO_ERRORS,
}

/** Providers as buttons. */
export const PROVIDERS = [
  { id: GRANT, name: 'Harbour Login' },
  { id: GRANT, name: LONG, brand: 'github' },
]

/** The sign-in page with providers. */
export const loginWithProviders: Sample<'login'>[] = [
  {
    label: 'with a provider, for a client',
    context: {
      form: { username: '', ...NO_ERRORS },
      continuation: CONTINUATION,
      registration_enabled: true,
      recovery_enabled: true,
      providers: PROVIDERS.slice(0, 1),
      providers_only: false,
      client: ELEMENT,
    },
  },
  {
    label: 'with providers, back from one',
    context: {
      form: { username: '', ...NO_ERRORS },
      continuation: CONTINUATION,
      registration_enabled: true,
      recovery_enabled: true,
      providers: PROVIDERS,
      providers_only: false,
      provider_notice: { code: 'unreachable', name: 'Harbour Login' },
    },
  },
  {
    label: 'an address alone may lead on, and this one does not',
    context: {
      form: { username: 'alice@example.net', errors: { password: [{ code: 'needed' }] } },
      continuation: CONTINUATION,
      registration_enabled: true,
      recovery_enabled: true,
      providers: PROVIDERS,
      providers_only: false,
      address_alone: true,
    },
  },
  {
    label: 'on the way to the provider of an address',
    context: {
      form: { username: 'alice@example.com', ...NO_ERRORS },
      continuation: '',
      registration_enabled: true,
      recovery_enabled: true,
      providers: PROVIDERS,
      providers_only: false,
      address_alone: true,
      provider_notice: { code: 'elsewhere', name: 'Harbour Login' },
    },
  },
  {
    label: 'providers only',
    context: {
      form: { username: '', ...NO_ERRORS },
      continuation: '',
      registration_enabled: false,
      recovery_enabled: false,
      providers: PROVIDERS,
      providers_only: true,
      provider_notice: { code: 'cancelled', name: LONG },
    },
  },
]

const problems = [
  'name_taken',
  'name_refused',
  'email_taken',
  'already_linked',
  'registration_closed',
  'not_allowed',
] as const

/** The pages on the way back from a provider. */
export const upstreamSamples: { [P in keyof UpstreamContexts]: Sample<P>[] } = {
  upstream_register: [
    {
      label: 'nothing known, with a check against robots',
      context: {
        link_id: GRANT,
        identity: { provider: 'Harbour Login' },
        form: { ...FORM, errors: { captcha: [{ code: 'failed' }] } },
        fixed_username: false,
        captcha: { service: 'altcha', challenge: CHALLENGE },
      },
    },
    {
      label: 'everything suggested, for a client, with terms',
      context: {
        link_id: GRANT,
        identity: IDENTITY,
        form: { ...FORM, username: 'alice' },
        fixed_username: false,
        email: { value: 'alice@harbour.example', fixed: false },
        display_name: { value: 'Alice Liddell', fixed: false },
        terms_uri: 'https://example.org/terms',
        client: ELEMENT,
        captcha: {
          service: 'hcaptcha',
          site_key: 'public-key',
          script: 'https://captcha.example.org/api.js',
        },
      },
    },
    {
      label: 'everything fixed, right-to-left',
      context: {
        link_id: GRANT,
        identity: IDENTITY,
        form: { ...FORM, username: LONG.toLowerCase() },
        fixed_username: true,
        email: { value: 'alice@harbour.example', fixed: true },
        display_name: { value: RTL_NAME, fixed: true },
      },
      base: { dir: 'rtl' },
    },
    {
      label: 'errors',
      context: {
        link_id: GRANT,
        identity: IDENTITY,
        form: {
          ...FORM,
          username: 'alice',
          import_email: false,
          errors: { username: [{ code: 'taken' }], accept_terms: [{ code: 'terms_required' }] },
        },
        fixed_username: false,
        email: { value: 'alice@harbour.example', fixed: false },
        terms_uri: 'https://example.org/terms',
      },
    },
    {
      label: 'refused as a whole',
      context: {
        link_id: GRANT,
        identity: IDENTITY,
        form: { ...FORM, form_error: { code: 'unavailable' } },
        fixed_username: false,
      },
    },
    {
      label: 'hostile',
      context: {
        link_id: HOSTILE,
        identity: HOSTILE_IDENTITY,
        form: { ...FORM, username: HOSTILE },
        fixed_username: false,
        email: { value: HOSTILE, fixed: false },
        display_name: { value: HOSTILE, fixed: true },
      },
    },
  ],
  upstream_suggest: [
    {
      label: 'fresh',
      context: { link_id: GRANT, identity: IDENTITY, user: { mxid: ALICE.mxid }, stale: false },
      base: { session: ALICE },
    },
    {
      label: 'stale',
      context: { link_id: GRANT, identity: IDENTITY, user: ALICE, stale: true },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        link_id: HOSTILE,
        identity: HOSTILE_IDENTITY,
        user: { mxid: HOSTILE, display_name: HOSTILE },
        stale: false,
      },
    },
  ],
  upstream_mismatch: [
    {
      label: 'with a way back',
      context: { link_id: GRANT, identity: IDENTITY, user: ALICE, continuation: CONTINUATION },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: { link_id: HOSTILE, identity: HOSTILE_IDENTITY, user: { mxid: HOSTILE }, continuation: '' },
    },
  ],
  upstream_problem: [
    ...problems.map((problem) => ({
      label: problem,
      context: { problem, identity: IDENTITY, username: 'alice', link_id: GRANT, continuation: CONTINUATION },
    })),
    ...['localpart', 'displayname', 'email'].map((missing) => ({
      label: `${missing} is missing`,
      context: { problem: 'claim_missing' as const, missing, identity: IDENTITY, continuation: '' },
    })),
    {
      label: 'the operator’s sentence',
      context: {
        problem: 'not_allowed',
        message: 'Only members of the crew come aboard. Ask the boatswain.',
        identity: IDENTITY,
        continuation: '',
      },
    },
    {
      label: 'hostile',
      context: {
        problem: 'name_refused',
        username: HOSTILE,
        message: HOSTILE,
        identity: HOSTILE_IDENTITY,
        link_id: HOSTILE,
        continuation: '',
      },
    },
  ],
  upstream_relay: [
    {
      label: 'answer',
      context: {
        path: `upstream/callback/${GRANT}`,
        params: [
          ['code', 'c'],
          ['state', 's'],
        ],
      },
    },
    { label: 'hostile', context: { path: `upstream/callback/${GRANT}`, params: [[HOSTILE, HOSTILE]] } },
  ],
  register_providers: [{ label: 'two', context: { providers: PROVIDERS, continuation: CONTINUATION } }],
  account_linked: [
    {
      label: 'two, and another to link',
      context: {
        ...sampleArea('linked'),
        identities: [
          { id: GRANT, ...IDENTITY, since: SINCE, last_used_at: SINCE, disabled: false },
          { id: GRANT, provider: LONG, since: SINCE, disabled: true },
        ],
        providers: PROVIDERS,
      },
      base: { session: ALICE },
    },
    {
      label: 'none, back from one, after an unlinking',
      context: {
        ...sampleArea('linked', 'identity_unlinked'),
        identities: [],
        providers: [],
        notice: { code: 'failed', name: 'Harbour Login' },
      },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        ...sampleArea('linked'),
        identities: [{ id: HOSTILE, ...HOSTILE_IDENTITY, since: SINCE, disabled: false }],
        providers: [],
      },
    },
  ],
  account_unlink: [
    {
      label: 'one',
      context: {
        ...sampleArea('linked'),
        identity: { id: GRANT, ...IDENTITY, since: SINCE, disabled: false },
      },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        ...sampleArea('linked'),
        identity: { id: HOSTILE, ...HOSTILE_IDENTITY, since: SINCE, disabled: false },
      },
    },
  ],
}
