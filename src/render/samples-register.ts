import type { RegisterContexts } from './contexts-register.ts'
import { GRANT, HOSTILE, LONG, type Sample } from './sample-base.ts'

/** Pages of the sign-up beside its first. */
export const registerSamples: { [P in keyof RegisterContexts]: Sample<P>[] } = {
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
}
