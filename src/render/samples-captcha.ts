import type { RegisterPage } from './contexts.ts'
import type { CaptchaBox } from './contexts-captcha.ts'
import { HOSTILE, NO_ERRORS, type Sample } from './sample-base.ts'

export const CHALLENGE = btoa(
  JSON.stringify({
    parameters: {
      algorithm: 'PBKDF2/SHA-256',
      cost: 10,
      keyLength: 32,
      keyPrefix: '00',
      nonce: '0f'.repeat(16),
      salt: '1e'.repeat(16),
    },
    signature: '2d'.repeat(32),
  }),
)

const register = (captcha: CaptchaBox, form: Partial<RegisterPage['form']> = {}): RegisterPage => ({
  form: { username: 'alice', accept_terms: false, ...NO_ERRORS, ...form },
  minimum_complexity: 3,
  continuation: '',
  captcha,
})

/** The first page of a sign-up with each check against robots. */
export const captchaSamples: Sample<'register'>[] = [
  { label: 'altcha', context: register({ service: 'altcha', challenge: CHALLENGE }) },
  {
    label: 'altcha, sent too soon without script',
    context: register(
      { service: 'altcha', challenge: CHALLENGE },
      { errors: { captcha: [{ code: 'wait', args: { seconds: 12 } }] } },
    ),
  },
  {
    label: 'captcha passed before',
    context: register(
      { service: 'altcha', pass: 'AAAAAAAAAAAAAAAAAAAAAA.1790000000000.A' },
      { errors: { username: [{ code: 'taken' }] } },
    ),
  },
  ...(['recaptcha_v2', 'hcaptcha', 'cloudflare_turnstile'] as const).map((service) => ({
    label: service,
    context: register(
      { service, site_key: 'public-key', script: 'https://captcha.example.org/api.js' },
      { errors: { captcha: [{ code: 'failed' as const }] } },
    ),
  })),
  {
    label: 'captcha out of order',
    context: register(
      { service: 'hcaptcha', site_key: 'public-key', script: 'https://captcha.example.org/api.js' },
      { form_error: { code: 'captcha_unavailable' } },
    ),
  },
  {
    label: 'hostile',
    context: register({ service: 'hcaptcha', site_key: HOSTILE }),
  },
]
