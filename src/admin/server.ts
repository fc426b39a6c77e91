import { Type } from '@sinclair/typebox'
import packageFile from '../../package.json' with { type: 'json' }
import { registrationEnabled } from '../policy/register.ts'
import { operation } from './operation.ts'

const siteConfig = operation({
  method: 'GET',
  path: '/site-config',
  id: 'getSiteConfig',
  area: 'server',
  summary: 'What this server allows',
  success: {
    status: 200,
    description: 'As it is configured.',
    schema: Type.Object({
      server_name: Type.String({ examples: ['example.com'] }),
      password_login_enabled: Type.Boolean(),
      password_registration_enabled: Type.Boolean(),
      password_registration_email_required: Type.Boolean(),
      password_registration_token_required: Type.Boolean(),
      registration_token_required: Type.Boolean(),
      email_change_allowed: Type.Boolean(),
      displayname_change_allowed: Type.Boolean(),
      password_change_allowed: Type.Boolean(),
      account_recovery_allowed: Type.Boolean(),
      account_deactivation_allowed: Type.Boolean(),
      captcha_enabled: Type.Boolean(),
      minimum_password_complexity: Type.Integer({ minimum: 0, maximum: 4 }),
    }),
  },
  async handle({ deps: { config, passwords } }) {
    const { account } = config
    return {
      body: {
        server_name: config.matrix.homeserver,
        password_login_enabled: passwords.enabled,
        password_registration_enabled: registrationEnabled(config),
        password_registration_email_required: account.password_registration_email_required,
        password_registration_token_required: account.password_registration_token_required,
        registration_token_required: account.registration_token_required,
        email_change_allowed: account.email_change_allowed,
        displayname_change_allowed: account.displayname_change_allowed,
        password_change_allowed: passwords.enabled && account.password_change_allowed,
        account_recovery_allowed: passwords.enabled && account.password_recovery_enabled,
        account_deactivation_allowed: account.account_deactivation_allowed,
        captcha_enabled: config.captcha?.service !== undefined,
        minimum_password_complexity: passwords.minimumComplexity,
      },
    }
  },
})

const version = operation({
  method: 'GET',
  path: '/version',
  id: 'getVersion',
  area: 'server',
  summary: 'The version that runs',
  success: {
    status: 200,
    description: 'The version.',
    schema: Type.Object({ version: Type.String({ examples: [packageFile.version] }) }),
  },
  handle: async () => ({ body: { version: packageFile.version } }),
})

export const serverOperations = [siteConfig, version]
