import type { RecoverPasswordPage, RecoverProgressPage, RecoveryContexts } from './contexts-recovery.ts'
import { CONTINUATION, GRANT, HOSTILE, LONG, NO_ERRORS, RTL_NAME, type Sample } from './sample-base.ts'

const TICKET = 'abcdefghijklmnopqrstuvwxyz012345'

const progress = (fields: Partial<RecoverProgressPage>): RecoverProgressPage => ({
  recovery_id: GRANT,
  email: 'alice@example.org',
  minutes: 10,
  resent: false,
  form: NO_ERRORS,
  continuation: '',
  ...fields,
})

const password = (fields: Partial<RecoverPasswordPage>): RecoverPasswordPage => ({
  form: { end_sessions: true, errors: {} },
  ticket: TICKET,
  username: 'alice',
  mxid: '@alice:example.org',
  display_name: 'Alice Liddell',
  minimum_complexity: 3,
  ...fields,
})

/** Pages on the way back into an account. */
export const recoverySamples: { [P in keyof RecoveryContexts]: Sample<P>[] } = {
  recover: [
    { label: 'empty', context: { form: { email: '', ...NO_ERRORS }, continuation: '' } },
    {
      label: 'no address',
      context: {
        form: { email: 'alice@', errors: { email: [{ code: 'invalid' }] } },
        continuation: CONTINUATION,
      },
    },
    {
      label: 'rate limited',
      context: {
        form: {
          email: 'alice@example.org',
          errors: {},
          form_error: { code: 'rate_limited', retry_after_seconds: 1200 },
        },
        continuation: '',
      },
    },
    {
      label: 'hostile',
      context: { form: { email: HOSTILE, ...NO_ERRORS }, continuation: '' },
      base: { server_name: HOSTILE },
    },
  ],
  recover_progress: [
    { label: 'sent', context: progress({ continuation: CONTINUATION }) },
    { label: 'sent again', context: progress({ resent: true }) },
    {
      label: 'rate limited',
      context: progress({
        form: { errors: {}, form_error: { code: 'rate_limited', retry_after_seconds: 3000 } },
      }),
    },
    { label: 'hostile', context: progress({ email: HOSTILE, recovery_id: HOSTILE }) },
  ],
  recover_disabled: [
    { label: 'plain', context: { continuation: '' } },
    { label: 'for a client', context: { continuation: CONTINUATION } },
  ],
  recover_password: [
    { label: 'fresh', context: password({}) },
    {
      label: 'too weak',
      context: password({
        form: { end_sessions: false, errors: { password: [{ code: 'too_weak' }] } },
        password_feedback: { warning: 'topTen', suggestions: ['anotherWord'] },
      }),
    },
    { label: 'long name', context: password({ username: LONG, mxid: `@${LONG}:example.org` }) },
    { label: 'right to left', context: password({ display_name: RTL_NAME }), base: { dir: 'rtl' } },
    {
      label: 'hostile',
      context: password({ ticket: HOSTILE, username: HOSTILE, mxid: HOSTILE, display_name: HOSTILE }),
    },
  ],
  recover_gone: [
    { label: 'plain', context: { recovery_enabled: true } },
    { label: 'of an administrator', context: { recovery_enabled: false } },
  ],
}
