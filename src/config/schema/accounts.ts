import { Type } from '@sinclair/typebox'
import { bool, fields, int, list, maybeOneOf, needOneOf, oneOf, section, text, textOr, url } from './parts.ts'

/** `account`: what people may do with their accounts. */
export const account = section(
  {
    password_registration_enabled: bool(false, 'Anyone may register with a password.'),
    password_registration_email_required: bool(
      true,
      'Registering with a password asks for an email address.',
    ),
    password_registration_token_required: bool(false, 'Registering with a password needs an invitation.'),
    registration_token_required: bool(false, 'Any registration needs an invitation. Deprecated in MAS 1.19.'),
    registration_requires_approval: bool(false, 'New accounts wait until an admin approves them.'),
    password_change_allowed: bool(true, 'People may change their password.'),
    password_recovery_enabled: bool(false, 'People may reset a lost password by email.'),
    passwordless_recovery_allowed: bool(
      false,
      'Resetting by email also gives a first password to accounts that have none.',
    ),
    login_with_email_allowed: bool(false, 'An email address works in place of the user name.'),
    email_change_allowed: bool(true, 'People may add and remove email addresses.'),
    displayname_change_allowed: bool(true, 'People may change their display name.'),
    account_deactivation_allowed: bool(true, 'People may deactivate their account.'),
    deactivation_grace_period: int(
      0,
      0,
      365 * 86_400,
      'Seconds for which a person can take their deactivation back by a link from a mail. The account is locked meanwhile. 0: at once.',
    ),
  },
  'What people may do with their accounts.',
)

/** `passwords`: whether there are any, and how they are hashed. */
export const passwords = section(
  {
    enabled: bool(true, '`false` turns passwords off: no sign-in, registration or recovery with one.'),
    minimum_complexity: int(3, 0, 4, 'Least zxcvbn score of a new password, 0 (any) to 4 (very strong).'),
    schemes: list(
      fields({
        version: Type.Integer({
          minimum: 0,
          maximum: 65535,
          description: 'The highest hashes new passwords; hashes of lower ones are renewed at sign-in.',
        }),
        algorithm: needOneOf(['argon2id', 'bcrypt', 'pbkdf2'], 'How passwords are hashed.'),
        cost: Type.Optional(
          Type.Integer({ minimum: 4, maximum: 31, description: '`bcrypt` only. Default: 12.' }),
        ),
        secret: text('A pepper.'),
        secret_file: text('The same, from a file, byte for byte: a line break at its end is part of it.'),
        unicode_normalization: bool(false, 'Normalise (NFKC) before hashing, as Synapse does.'),
      }),
      [{ version: 1, algorithm: 'argon2id', unicode_normalization: false }],
      'How passwords are hashed.',
    ),
  },
  'Whether passwords are used, and how they are hashed.',
)

/** `captcha`: a check against robots at registration. */
export const captcha = section(
  {
    service: maybeOneOf(
      ['recaptcha_v2', 'cloudflare_turnstile', 'hcaptcha', 'altcha'],
      'Who provides the check. `altcha` is our own: the browser calculates, and nothing is asked of anybody else.',
    ),
    site_key: text('Public key. Required with the services of others.'),
    secret_key: text('Secret key. Required with the services of others.'),
  },
  'A check against robots at registration.',
)

const constraints = (description: string) =>
  Type.Optional(
    fields(
      {
        literals: Type.Optional(Type.Array(Type.String(), { description: 'The whole value.' })),
        substrings: Type.Optional(Type.Array(Type.String(), { description: 'A part of it.' })),
        regexes: Type.Optional(
          Type.Array(Type.String(), { description: 'Regular expressions, not anchored.' }),
        ),
        prefixes: Type.Optional(Type.Array(Type.String(), { description: 'Its beginning.' })),
        suffixes: Type.Optional(Type.Array(Type.String(), { description: 'Its end.' })),
      },
      `${description} Any of \`literals\`, \`substrings\`, \`regexes\`, \`prefixes\`, \`suffixes\`.`,
    ),
  )
const strings = (description: string) => Type.Optional(Type.Array(Type.String(), { description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))

/** `policy`: what may register, sign in and be granted. */
export const policy = section(
  {
    wasm_module: text('An Open Policy Agent module that replaces the rules.'),
    client_registration_entrypoint: textOr('client_registration/violation', 'Of the module.'),
    register_entrypoint: textOr('register/violation', 'Of the module.'),
    authorization_grant_entrypoint: textOr('authorization_grant/violation', 'Of the module.'),
    compat_login_entrypoint: textOr('compat_login/violation', 'Of the module.'),
    email_entrypoint: textOr('email/violation', 'Of the module.'),
    password_entrypoint: textOr('password/violation', 'Of the module. Never had an effect.'),
    data: Type.Object(
      {
        admin_users: strings('User names that may be granted admin scopes.'),
        admin_clients: strings('Ids of clients that may be granted admin scopes for themselves.'),
        client_registration: Type.Optional(
          fields(
            {
              allow_host_mismatch: flag('URLs of a client may be on other hosts than its `client_uri`.'),
              allow_insecure_uris: flag('They may be plain http.'),
              allow_missing_client_uri: flag('`client_uri` may be missing.'),
            },
            'Rules for clients that register themselves.',
          ),
        ),
        registration: Type.Optional(
          fields(
            {
              allowed_usernames: constraints('Only these user names may register.'),
              banned_usernames: constraints('These user names may not register.'),
            },
            'Rules for user names.',
          ),
        ),
        emails: Type.Optional(
          fields(
            {
              allowed_addresses: constraints('Only these email addresses may be used.'),
              banned_addresses: constraints('These email addresses may not be used.'),
            },
            'Rules for email addresses.',
          ),
        ),
        allowed_domains: strings('Only email addresses of these domains (globs) may be used.'),
        banned_domains: strings('Email addresses of these domains (globs) may not be used.'),
        requester: Type.Optional(
          fields(
            {
              banned_ips: strings('Addresses or networks that may do nothing.'),
              banned_user_agents: constraints('User agents that may do nothing.'),
            },
            'Rules for whoever asks.',
          ),
        ),
      },
      { default: {}, description: 'Settings of the rules. Keys that we do not know are accepted.' },
    ),
  },
  'What may register, sign in and be granted.',
)

const limiter = (burst: number, perSecond: number, description: string) =>
  Type.Object(
    {
      burst: Type.Integer({ minimum: 1, maximum: 4_294_967_295, description: 'So many at once.' }),
      per_second: Type.Number({
        exclusiveMinimum: 0,
        exclusiveMaximum: 1e9,
        description: 'How fast they come back.',
      }),
    },
    { additionalProperties: false, default: { burst, per_second: perSecond }, whole: true, description },
  )

const MINUTE = 60
const HOUR = 3600

/** `rate_limiting`: each limiter has `burst` and `per_second`. */
export const rateLimiting = section(
  {
    account_recovery: section(
      {
        per_ip: limiter(3, 3 / HOUR, 'Recovery mails by address of the requester.'),
        per_address: limiter(3, 1 / HOUR, 'Recovery mails by email address.'),
      },
      'Recovery of lost passwords.',
    ),
    login: section(
      {
        per_ip: limiter(3, 3 / MINUTE, 'Password checks by address of the requester.'),
        per_account: limiter(1800, 0.5, 'Password checks by account: the name or address that is typed.'),
      },
      'Sign-in.',
    ),
    registration: limiter(
      3,
      3 / HOUR,
      'Registrations by address of the requester, through other providers too.',
    ),
    email_authentication: section(
      {
        per_ip: limiter(5, 1 / MINUTE, 'Codes sent by address of the requester.'),
        per_address: limiter(3, 1 / HOUR, 'Codes sent by email address.'),
        emails_per_session: limiter(2, 1 / 300, 'Codes sent again within one verification.'),
        attempt_per_session: limiter(10, 1 / MINUTE, 'Codes entered within one verification.'),
      },
      'Verification of email addresses.',
    ),
  },
  'Rate limits. Each has `burst` (so many at once) and `per_second` (how fast they come back), both required.',
)

/** `oauth`: grants and tokens. */
export const oauth = section(
  {
    device_code_grant_enabled: bool(true, 'Devices without a browser may sign in with a code.'),
    device_code_user_code_auto_fill_enabled: bool(false, 'Offer a link that fills in the code.'),
    implicit_flow: bool(
      false,
      'Also answer with tokens instead of a code. Only for old OpenID clients and for certification: tokens in addresses leak.',
    ),
    refresh_token_reuse: oneOf(
      ['reject', 'end_session'],
      'reject',
      'What a used refresh token does: it is refused, or it also ends its session.',
    ),
  },
  'Grants and tokens.',
)

/** `experimental`: lifetimes and limits of sessions. */
export const experimental = section(
  {
    access_token_ttl: int(300, 60, 86_400, 'Lifetime of access tokens, seconds.'),
    compat_token_ttl: int(300, 60, 86_400, 'Lifetime of access tokens of older clients, seconds.'),
    inactive_session_expiration: Type.Optional(
      fields(
        {
          ttl: Type.Integer({ minimum: 600, maximum: 7_776_000, description: 'Seconds without activity.' }),
          expire_compat_sessions: bool(true, 'Ends sessions of older clients.'),
          expire_oauth_sessions: bool(true, 'Ends sessions of clients.'),
          expire_user_sessions: bool(true, 'Ends sessions of browsers.'),
        },
        'End sessions that are not used.',
      ),
    ),
    plan_management_iframe_uri: url('A page of yours inside the account area.'),
    session_limit: Type.Optional(
      fields(
        {
          soft_limit: Type.Integer({ minimum: 1, description: 'Sessions before people must end one.' }),
          hard_limit: Type.Integer({ minimum: 1, description: 'Sessions that no sign-in may exceed.' }),
          max_session_threshold: Type.Optional(
            Type.Integer({ minimum: 1, description: 'Accounts with more sessions are left alone.' }),
          ),
          dangerous_hard_limit_eviction: bool(
            false,
            'At the hard limit, end the idlest sessions of older clients instead of refusing the new one.',
          ),
        },
        'How many sessions an account may have.',
      ),
    ),
  },
  'Lifetimes and limits of sessions.',
)
