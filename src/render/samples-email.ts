import type { EmailContexts, RegisterEmailPage } from './contexts-email.ts'
import { GRANT, HOSTILE, LONG, type Sample } from './sample-base.ts'

const step = (fields: Partial<RegisterEmailPage>): RegisterEmailPage => ({
  registration_id: GRANT,
  email: 'alice@example.org',
  minutes: 10,
  resent: false,
  form: { email: '', errors: {} },
  ...fields,
})

/** Pages about addresses. */
export const emailSamples: { [P in keyof EmailContexts]: Sample<P>[] } = {
  register_email: [
    { label: 'fresh', context: step({}) },
    { label: 'sent again', context: step({ resent: true, minutes: 1 }) },
    {
      label: 'wrong code',
      context: step({ form: { email: '', errors: { code: [{ code: 'wrong_code' }] } } }),
    },
    {
      label: 'no address',
      context: step({ form: { email: 'alice@', errors: { email: [{ code: 'invalid' }] } } }),
    },
    { label: 'taken', context: step({ form: { email: '', errors: { email: [{ code: 'taken' }] } } }) },
    {
      label: 'rate limited',
      context: step({
        form: { email: '', errors: {}, form_error: { code: 'rate_limited', retry_after_seconds: 290 } },
      }),
    },
    { label: 'long address', context: step({ email: `${LONG}@${LONG}.example.org` }) },
    {
      label: 'hostile',
      context: step({ registration_id: HOSTILE, email: HOSTILE, form: { email: HOSTILE, errors: {} } }),
    },
  ],
}
