import type { MailBase, MailContexts, MailName, SecurityNoticeMail } from './contexts-mail.ts'
import { HOSTILE, HOSTILE_URI } from './sample-base.ts'
import { directionOf } from './translate.ts'

/** A mail as it may look. */
export interface MailSample<M extends MailName> {
  label: string
  context: MailContexts[M]
  base?: Partial<MailBase>
}

/** A base for samples of mails. */
export const mailSampleBase = (lang: string): MailBase => ({
  lang,
  dir: directionOf(lang),
  branding: {
    service_name: 'Latchkey',
    policy_uri: 'https://example.org/privacy',
    tos_uri: 'https://example.org/terms',
    contact_uri: 'mailto:help@example.org',
    links: [{ name: 'Status of the service', uri: 'https://status.example.org/' }],
    imprint: 'Example Association, 1 Harbour Street',
  },
  server_name: 'example.org',
  account_uri: 'https://example.org/auth/account/',
  now: '2026-11-24T08:00:00.000Z',
})

const HOSTILE_BASE: Partial<MailBase> = {
  server_name: HOSTILE,
  branding: {
    service_name: `${HOSTILE}\r\nBcc: eve@evil.test`,
    logo_uri: HOSTILE_URI,
    policy_uri: HOSTILE_URI,
    tos_uri: HOSTILE,
    contact_uri: HOSTILE_URI,
    links: [{ name: HOSTILE, uri: HOSTILE_URI }],
    imprint: HOSTILE,
  },
}

const AT = '2026-11-24T07:58:12.000Z'

const notice = (event: string, fields: Partial<SecurityNoticeMail> = {}): SecurityNoticeMail => ({
  event,
  username: 'alice',
  mxid: '@alice:example.org',
  at: AT,
  by_admin: false,
  email: '',
  name: '',
  ...fields,
})
const LINK = 'https://example.org/auth/account/password/recovery?ticket=abcdefghijklmnopqrstuvwxyz012345'
const DEVICE = { ip: '2001:db8::7334', device: 'Firefox, Linux' }

/** Several states of every mail. */
export const mailSamples: { [M in MailName]: MailSample<M>[] } = {
  security_notice: [
    ...[
      'signed_in_new_browser',
      'password_changed',
      'password_reset',
      'email_removed',
      'email_primary',
      'sessions_ended',
      'code_replayed',
      'refresh_token_reused',
      'deactivated',
      'deactivation_undone',
      'keys_reset_allowed',
    ].map((event) => ({
      label: event,
      context: notice(event, { ...DEVICE, email: 'alice@example.org' }),
    })),
    { label: 'linked', context: notice('identity_linked', { ...DEVICE, name: 'Harbour Login' }) },
    { label: 'unlinked', context: notice('identity_unlinked', { ...DEVICE, name: 'Harbour Login' }) },
    { label: 'email added', context: notice('email_added', { ...DEVICE, email: 'new@example.org' }) },
    { label: 'legacy client', context: notice('signed_in_legacy', { ...DEVICE, name: 'Old phone' }) },
    { label: 'token', context: notice('personal_token_created', { ...DEVICE, name: 'Backup script' }) },
    {
      label: 'token revoked',
      context: notice('personal_token_revoked', { ...DEVICE, name: 'Backup script' }),
    },
    ...['locked', 'unlocked', 'recovery_link_issued', 'admin_given', 'admin_taken'].map((event) => ({
      label: event,
      context: notice(event, { by_admin: true }),
    })),
    {
      label: 'plain server',
      context: notice('password_changed'),
      base: {
        branding: {
          service_name: 'example.org',
          logo_uri: 'https://example.org/logo.png',
          accent: 'ink',
          links: [],
        },
      },
    },
    {
      label: 'hostile',
      context: notice('personal_token_created', {
        username: HOSTILE,
        mxid: HOSTILE,
        ip: HOSTILE,
        device: HOSTILE,
        name: HOSTILE,
      }),
      base: HOSTILE_BASE,
    },
  ],
  recovery: [
    {
      label: 'one account',
      context: {
        accounts: [{ mxid: '@alice:example.org', state: 'open', link: LINK }],
        minutes: 10,
        at: AT,
        ...DEVICE,
      },
    },
    {
      label: 'several accounts',
      context: {
        accounts: [
          { mxid: '@alice:example.org', state: 'open', link: LINK },
          { mxid: '@alice2:example.org', state: 'locked' },
          { mxid: '@alice4:example.org', state: 'waiting' },
          { mxid: '@alice3:example.org', state: 'no_password' },
        ],
        minutes: 1,
        at: AT,
      },
    },
    {
      label: 'hostile',
      context: {
        accounts: [{ mxid: HOSTILE, state: 'open', link: HOSTILE_URI }],
        minutes: 10,
        at: AT,
        ip: HOSTILE,
        device: HOSTILE,
      },
      base: HOSTILE_BASE,
    },
  ],
  verification: [
    {
      label: 'sign-up',
      context: {
        code: '047113',
        minutes: 10,
        mxid: '@alice:example.org',
        purpose: 'sign_up',
        at: AT,
        ...DEVICE,
      },
    },
    {
      label: 'another address',
      context: { code: '047113', minutes: 1, mxid: '@alice:example.org', purpose: 'add', at: AT },
    },
    {
      label: 'an address that a provider says',
      context: {
        code: '047113',
        minutes: 10,
        mxid: '@alice:example.org',
        purpose: 'add',
        said: { by: 'Harbour Login', enter_uri: 'https://auth.example.org/account/emails/01J0/verify' },
        at: AT,
        ...DEVICE,
      },
    },
    {
      label: 'hostile',
      context: { code: '047113', minutes: 10, mxid: HOSTILE, purpose: 'sign_up', at: AT, device: HOSTILE },
      base: HOSTILE_BASE,
    },
  ],
  address_in_use: [
    {
      label: 'one account',
      context: {
        accounts: ['@alice:example.org'],
        sign_in_uri: 'https://example.org/auth/login',
        recover_uri: 'https://example.org/auth/recover',
        at: AT,
        ...DEVICE,
      },
    },
    {
      label: 'several accounts',
      context: {
        accounts: ['@alice:example.org', '@alice2:example.org'],
        sign_in_uri: 'https://example.org/auth/login',
        at: AT,
      },
    },
    {
      label: 'hostile',
      context: {
        accounts: [HOSTILE],
        sign_in_uri: HOSTILE_URI,
        recover_uri: HOSTILE_URI,
        at: AT,
        ip: HOSTILE,
      },
      base: HOSTILE_BASE,
    },
  ],
  approval: [
    {
      label: 'approved',
      context: { approved: true, mxid: '@alice:example.org', sign_in_uri: 'https://example.org/auth/login' },
    },
    { label: 'rejected', context: { approved: false, mxid: '@alice:example.org' } },
    {
      label: 'hostile',
      context: { approved: true, mxid: HOSTILE, sign_in_uri: HOSTILE_URI },
      base: HOSTILE_BASE,
    },
  ],
  deactivation: [
    {
      label: 'plain',
      context: {
        mxid: '@alice:example.org',
        due_at: '2026-12-08T07:58:12.000Z',
        link: LINK.replace('password/recovery', 'deactivate/undo'),
        at: AT,
        ...DEVICE,
      },
    },
    {
      label: 'hostile',
      context: { mxid: HOSTILE, due_at: AT, link: HOSTILE_URI, at: AT, ip: HOSTILE },
      base: HOSTILE_BASE,
    },
  ],
  test: [
    { label: 'plain', context: {} },
    { label: 'hostile', context: {}, base: HOSTILE_BASE },
  ],
}
