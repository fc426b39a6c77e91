import type { AccountToken, TokenContexts, TokenLifetime } from './contexts-tokens.ts'
import { ALICE, GRANT, HOSTILE, LONG, NO_ERRORS, RTL_NAME, type Sample, sampleArea } from './sample-base.ts'

const AREA = sampleArea('tokens')
const LIFETIMES: readonly TokenLifetime[] = ['7', '30', '90', '365', 'never']
const TOKEN = 'mpt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_000000'

const token = (fields: Partial<AccountToken> = {}): AccountToken => ({
  id: GRANT,
  name: 'Reminders',
  scopes: [{ code: 'matrix_api', dangerous: false }],
  created_at: '2026-10-02T08:00:00.000Z',
  expired: false,
  replaceable: true,
  ...fields,
})

const TOKENS: AccountToken[] = [
  token({
    device_id: 'XKQZPLMVWA',
    last_used_at: '2026-11-24T07:12:00.000Z',
    expires_at: '2027-02-22T08:00:00.000Z',
  }),
  token({ name: 'Nightly report', expires_at: '2026-11-01T08:00:00.000Z', expired: true }),
  token({
    name: 'Moderation',
    scopes: [
      { code: 'matrix_api', dangerous: false },
      { code: 'synapse_admin', dangerous: true },
    ],
    acts_as: '@mod:example.org',
    replaceable: false,
  }),
  token({ name: 'Bridge', made_by: '@admin:example.org', replaceable: false }),
  token({
    name: 'Archive',
    made_by: '',
    scopes: [{ code: 'other', text: 'urn:example:x', dangerous: false }],
  }),
]

/** Nobody can have used it yet. */
const JUST_MADE = token({
  device_id: 'XKQZPLMVWA',
  created_at: '2026-11-24T08:00:00.000Z',
  expires_at: '2027-02-22T08:00:00.000Z',
})

const EMPTY = {
  name: '',
  scopes: ['matrix_api' as const],
  device: true,
  expires: '90' as const,
  ...NO_ERRORS,
}
const PLAIN = [{ code: 'matrix_api' as const, dangerous: false }]
const ADMIN = [
  ...PLAIN,
  { code: 'synapse_admin' as const, dangerous: true },
  { code: 'mas_admin' as const, dangerous: true },
]
const NASTY = token({
  id: HOSTILE,
  name: HOSTILE,
  scopes: [{ code: 'other', text: HOSTILE, dangerous: false }],
  device_id: HOSTILE,
  acts_as: HOSTILE,
  made_by: HOSTILE,
})
const base = { session: ALICE }

/** Pages about personal access tokens. */
export const tokenSamples: { [P in keyof TokenContexts]: Sample<P>[] } = {
  account_tokens: [
    { label: 'none', context: { ...AREA, tokens: [] }, base },
    { label: 'several', context: { ...AREA, tokens: TOKENS }, base },
    {
      label: 'long and right-to-left names',
      context: {
        ...sampleArea('tokens', 'token_revoked'),
        tokens: [token({ name: LONG, device_id: LONG }), token({ name: RTL_NAME })],
      },
      base: { ...base, dir: 'rtl' },
    },
    {
      label: 'a page of many',
      context: {
        ...AREA,
        tokens: Array.from({ length: 10 }, (_, index) => token({ id: `01JDFX2V9S6QK3W4Z5Y7T8R9T${index}` })),
        previous: '',
        next: 'page=3',
      },
      base,
    },
    { label: 'hostile', context: { ...AREA, tokens: [NASTY] }, base },
  ],
  account_token_new: [
    { label: 'plain', context: { ...AREA, form: EMPTY, choices: PLAIN, lifetimes: LIFETIMES }, base },
    {
      label: 'admin, errors',
      context: {
        ...AREA,
        form: {
          ...EMPTY,
          scopes: [],
          device: false,
          expires: 'never',
          errors: { token_name: [{ code: 'required' }], scope_matrix_api: [{ code: 'required' }] },
        },
        choices: ADMIN,
        lifetimes: LIFETIMES,
      },
      base,
    },
    {
      label: 'homeserver away',
      context: {
        ...AREA,
        form: { ...EMPTY, name: 'Reminders', form_error: { code: 'unavailable' } },
        choices: PLAIN,
        lifetimes: LIFETIMES,
      },
      base,
    },
    {
      label: 'hostile',
      context: { ...AREA, form: { ...EMPTY, name: HOSTILE }, choices: PLAIN, lifetimes: LIFETIMES },
      base,
    },
  ],
  account_token_issued: [
    { label: 'with an end', context: { ...AREA, token: TOKEN, target: JUST_MADE }, base },
    { label: 'without', context: { ...AREA, token: TOKEN, target: token() }, base },
    { label: 'hostile', context: { ...AREA, token: HOSTILE, target: NASTY }, base },
  ],
  account_token_replace: [
    {
      label: 'plain',
      context: {
        ...AREA,
        target: token(TOKENS[0]),
        form: { expires: '90', ...NO_ERRORS },
        lifetimes: LIFETIMES,
      },
      base,
    },
    {
      label: 'not allowed any more',
      context: {
        ...AREA,
        target: token(TOKENS[1]),
        form: { expires: 'never', ...NO_ERRORS, form_error: { code: 'not_allowed' } },
        lifetimes: LIFETIMES,
      },
      base,
    },
    {
      label: 'hostile',
      context: { ...AREA, target: NASTY, form: { expires: '7', ...NO_ERRORS }, lifetimes: LIFETIMES },
      base,
    },
  ],
  account_token_revoke: [
    { label: 'with a device', context: { ...AREA, target: token(TOKENS[0]) }, base },
    { label: 'of somebody else', context: { ...AREA, target: token(TOKENS[3]) }, base },
    { label: 'hostile', context: { ...AREA, target: NASTY }, base },
  ],
}
