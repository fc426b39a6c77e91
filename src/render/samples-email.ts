import type { AccountEmail, EmailContexts, RegisterEmailPage } from './contexts-email.ts'
import { ALICE, GRANT, HOSTILE, LONG, NO_ERRORS, type Sample, sampleArea } from './sample-base.ts'

const AREA = sampleArea('emails')
const SIGNED_IN = { session: ALICE }

const address = (fields: Partial<AccountEmail> = {}): AccountEmail => ({
  id: GRANT,
  email: 'alice@example.org',
  main: true,
  added_at: '2026-10-02T08:00:00.000Z',
  removable: true,
  ...fields,
})

const step = (fields: Partial<RegisterEmailPage>): RegisterEmailPage => ({
  registration_id: GRANT,
  email: 'alice@example.org',
  minutes: 10,
  resent: false,
  fixed: false,
  form: { code: '', email: '', errors: {} },
  continuation: '',
  ...fields,
})

/** Pages about addresses. */
export const emailSamples: { [P in keyof EmailContexts]: Sample<P>[] } = {
  register_email: [
    { label: 'fresh', context: step({}) },
    { label: 'sent again', context: step({ resent: true, minutes: 1 }) },
    { label: 'an address that a provider decided about', context: step({ fixed: true }) },
    {
      label: 'wrong code',
      context: step({ form: { code: '', email: '', errors: { code: [{ code: 'wrong_code' }] } } }),
    },
    {
      label: 'no address',
      context: step({ form: { code: '', email: 'alice@', errors: { email: [{ code: 'invalid' }] } } }),
    },
    {
      label: 'taken',
      context: step({ form: { code: '', email: '', errors: { email: [{ code: 'taken' }] } } }),
    },
    {
      label: 'rate limited',
      context: step({
        form: {
          code: '',
          email: '',
          errors: {},
          form_error: { code: 'rate_limited', retry_after_seconds: 290 },
        },
      }),
    },
    { label: 'long address', context: step({ email: `${LONG}@${LONG}.example.org` }) },
    {
      label: 'hostile',
      context: step({
        registration_id: HOSTILE,
        email: HOSTILE,
        form: { code: '', email: HOSTILE, errors: {} },
      }),
    },
  ],
  account_emails: [
    {
      label: 'several',
      context: {
        ...AREA,
        several: true,
        emails: [address(), address({ email: 'second@example.org', main: false })],
        pending: [{ id: GRANT, email: 'third@example.org' }],
        change_allowed: true,
      },
      base: SIGNED_IN,
    },
    {
      label: 'a page of many',
      context: {
        ...AREA,
        several: true,
        emails: Array.from({ length: 10 }, (_, index) =>
          address({ id: `01JDFX2V9S6QK3W4Z5Y7T8R9T${index}`, main: false }),
        ),
        pending: [],
        change_allowed: true,
        previous: '',
        next: 'page=3',
      },
      base: SIGNED_IN,
    },
    {
      label: 'one that must stay',
      context: {
        ...sampleArea('emails', 'email_added'),
        several: false,
        emails: [address({ removable: false })],
        pending: [],
        change_allowed: true,
      },
      base: SIGNED_IN,
    },
    {
      label: 'none',
      context: { ...AREA, several: false, emails: [], pending: [], change_allowed: true },
      base: SIGNED_IN,
    },
    {
      label: 'looked after by others',
      context: { ...AREA, several: false, emails: [address()], pending: [], change_allowed: false },
      base: SIGNED_IN,
    },
    {
      label: 'long',
      context: {
        ...AREA,
        several: false,
        emails: [address({ email: `${LONG}@${LONG}.example.org` })],
        pending: [{ id: GRANT, email: `${LONG}@${LONG}.example.org` }],
        change_allowed: true,
      },
      base: { ...SIGNED_IN, dir: 'rtl' },
    },
    {
      label: 'hostile',
      context: {
        ...AREA,
        several: false,
        emails: [address({ id: HOSTILE, email: HOSTILE, main: false })],
        pending: [{ id: HOSTILE, email: HOSTILE }],
        change_allowed: true,
      },
      base: SIGNED_IN,
    },
  ],
  account_email_add: [
    { label: 'empty', context: { ...AREA, form: { email: '', ...NO_ERRORS } }, base: SIGNED_IN },
    {
      label: 'already there',
      context: {
        ...AREA,
        form: { email: 'alice@example.org', errors: { email: [{ code: 'already_yours' }] } },
      },
      base: SIGNED_IN,
    },
    { label: 'hostile', context: { ...AREA, form: { email: HOSTILE, ...NO_ERRORS } }, base: SIGNED_IN },
  ],
  account_email_verify: [
    {
      label: 'fresh',
      context: {
        ...AREA,
        verification_id: GRANT,
        email: 'new@example.org',
        minutes: 10,
        resent: true,
        form: { code: '', ...NO_ERRORS },
      },
      base: SIGNED_IN,
    },
    {
      label: 'too old',
      context: {
        ...AREA,
        verification_id: GRANT,
        email: 'new@example.org',
        minutes: 10,
        resent: false,
        form: { code: '', errors: { code: [{ code: 'code_expired' }] } },
      },
      base: SIGNED_IN,
    },
    {
      label: 'hostile',
      context: {
        ...AREA,
        verification_id: HOSTILE,
        email: HOSTILE,
        minutes: 10,
        resent: false,
        form: { code: HOSTILE, ...NO_ERRORS },
      },
      base: SIGNED_IN,
    },
  ],
  account_email_remove: [
    { label: 'one of several', context: { ...AREA, target: address(), last: false }, base: SIGNED_IN },
    { label: 'the only one', context: { ...AREA, target: address(), last: true }, base: SIGNED_IN },
    {
      label: 'hostile',
      context: { ...AREA, target: address({ id: HOSTILE, email: HOSTILE }), last: true },
      base: SIGNED_IN,
    },
  ],
}
