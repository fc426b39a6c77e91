/** The check against robots in a form. */
export interface CaptchaBox {
  service: 'recaptcha_v2' | 'cloudflare_turnstile' | 'hcaptcha' | 'altcha'
  /** The widget of a service of others: its public key, and the address of its script. */
  site_key?: string
  script?: string
  /** `altcha`: what the browser has to solve, as the field `altcha_challenge`. */
  challenge?: string
  /** Passed with an earlier sending of this form: goes along in `captcha_pass`, and nothing is asked again. */
  pass?: string
}
