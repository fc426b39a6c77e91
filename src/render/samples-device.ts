import type { Contexts } from './contexts.ts'
import {
  ALICE,
  ELEMENT,
  GRANT,
  HOSTILE,
  HOSTILE_URI,
  LONG,
  NO_ERRORS,
  RTL_NAME,
  type Sample,
} from './sample-base.ts'

const CODE = 'CDFH-2345'

const DEVICE: Contexts['device_consent'] = {
  form: NO_ERRORS,
  client: ELEMENT,
  device: {
    user_agent: 'Firefox, Linux',
    ip: '192.0.2.17',
    requested_at: '2026-11-24T07:57:00.000Z',
    user_code: CODE,
  },
  user: { mxid: ALICE.mxid, display_name: ALICE.display_name },
  scopes: [
    { code: 'openid', dangerous: false },
    { code: 'matrix_api', dangerous: false },
    { code: 'device', dangerous: false },
  ],
  device_grant_id: GRANT,
}

/** The pages on which a device is let in. */
export const deviceSamples: {
  [P in 'device_link' | 'device_consent' | 'device_done']: Sample<P>[]
} = {
  device_link: [
    { label: 'empty', context: { form: { code: '', ...NO_ERRORS } } },
    {
      label: 'filled in, standalone',
      context: { form: { code: CODE, ...NO_ERRORS } },
      base: { standalone: true },
    },
    {
      label: 'unknown code',
      context: { form: { code: 'cdfh 23', errors: { code: [{ code: 'invalid' }] } } },
    },
    { label: 'no code', context: { form: { code: '', errors: { code: [{ code: 'required' }] } } } },
    {
      label: 'too many codes, right to left',
      context: {
        form: { code: CODE, errors: {}, form_error: { code: 'rate_limited', retry_after_seconds: 30 } },
      },
      base: { dir: 'rtl', session: ALICE },
    },
    { label: 'hostile', context: { form: { code: HOSTILE, errors: { code: [{ code: 'invalid' }] } } } },
  ],
  device_consent: [
    { label: 'plain', context: DEVICE, base: { session: ALICE } },
    {
      label: 'not confirmed',
      context: { ...DEVICE, form: { errors: { confirm_device: [{ code: 'required' }] } } },
      base: { session: ALICE },
    },
    {
      label: 'stale, nothing known, admin scope',
      context: {
        ...DEVICE,
        form: { errors: {}, form_error: { code: 'expired_form' } },
        client: { name: 'Wren' },
        device: { requested_at: '2026-11-24T07:59:40.000Z', user_code: CODE },
        user: { mxid: '@alice:example.org' },
        scopes: [
          { code: 'synapse_admin', dangerous: true },
          { code: 'other', text: 'urn:example:thing', dangerous: false },
        ],
      },
    },
    { label: 'no scopes', context: { ...DEVICE, scopes: [] }, base: { session: ALICE } },
    {
      label: 'long and right-to-left names',
      context: {
        ...DEVICE,
        client: { name: LONG, host: `${LONG.toLowerCase()}.example.org` },
        device: { ...DEVICE.device, user_agent: LONG, ip: '2001:db8:85a3:1234:5678:8a2e:370:7334' },
        user: { mxid: `@${LONG.toLowerCase()}:example.org`, display_name: RTL_NAME },
      },
      base: { dir: 'rtl' },
    },
    {
      label: 'hostile',
      context: {
        form: { errors: { confirm_device: [{ code: 'required', message: HOSTILE }] } },
        client: { name: HOSTILE, host: HOSTILE, logo_uri: HOSTILE_URI },
        device: {
          user_agent: HOSTILE,
          ip: HOSTILE,
          requested_at: '2026-11-24T07:58:00.000Z',
          user_code: HOSTILE,
        },
        user: { mxid: HOSTILE, display_name: HOSTILE },
        scopes: [{ code: 'other', text: HOSTILE, dangerous: true }],
        device_grant_id: HOSTILE,
      },
    },
  ],
  device_done: [
    { label: 'approved', context: { outcome: 'approved', client: ELEMENT }, base: { session: ALICE } },
    { label: 'rejected', context: { outcome: 'rejected', client: ELEMENT }, base: { session: ALICE } },
    { label: 'expired', context: { outcome: 'expired', client: { name: RTL_NAME } }, base: { dir: 'rtl' } },
    { label: 'hostile', context: { outcome: 'approved', client: { name: HOSTILE, host: HOSTILE } } },
  ],
}
