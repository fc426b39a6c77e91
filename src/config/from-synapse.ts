/** A mapping of Synapse's configuration, of which nothing is known yet. */
type Section = Readonly<Record<string, unknown>>

/** What a configuration of Synapse says about ours: values by their path, and what we can't take over. */
export interface FromSynapse {
  values: [path: string[], value: unknown][]
  notes: string[]
}

/**
 * Takes over what Synapse's `homeserver.yaml` says about accounts and sign-in (reference operations 3, `config generate`).
 * `files` are its files in their order: as in Synapse a section of a later file replaces that of an earlier one. `newId`
 * gives a ULID.
 *
 * @throws SyntaxError when there is no server name
 */
export function fromSynapse(files: readonly Section[], newId: () => string): FromSynapse {
  const synapse: Section = Object.assign({}, ...files)
  const serverName = textOf(synapse.server_name)
  if (serverName === undefined) throw new SyntaxError('server_name is missing')
  const out: FromSynapse = { values: [[['matrix', 'homeserver'], serverName]], notes: [] }
  takeLink(synapse, out)
  takePasswords(synapse, out)
  takeAccounts(synapse, out)
  takeCaptcha(synapse, out)
  takeMail(synapse, out)
  takeProviders(synapse, out, newId)
  for (const [key, what] of OTHERS)
    if (isOn(synapse[key]))
      out.notes.push(`${key}: ${what} has no counterpart here; people who use it need another way in`)
  if (isOn(synapse.user_consent))
    out.notes.push('user_consent: set branding.tos_uri to the address of your terms instead')
  return out
}

/** Ways to sign in that are Synapse's alone. */
const OTHERS = [
  ['cas_config', 'sign-in with CAS'],
  ['saml2_config', 'sign-in with SAML'],
  ['jwt_config', 'sign-in with a JWT'],
  ['password_providers', 'a password provider module'],
] as const

function takeLink(synapse: Section, { values, notes }: FromSynapse): void {
  const base = textOf(synapse.public_baseurl)
  if (base === undefined) notes.push('public_baseurl: is not set; correct matrix.endpoint')
  else values.push([['matrix', 'endpoint'], base])
  const delegated = sectionOf(synapse.matrix_authentication_service)
  const earlier = sectionOf(sectionOf(synapse.experimental_features).msc3861)
  values.push([['matrix', 'kind'], isOn(earlier) ? 'synapse_legacy' : 'synapse'])
  const secret = isOn(earlier) ? textOf(earlier.admin_token) : textOf(delegated.secret)
  const path = isOn(earlier) ? textOf(earlier.admin_token_path) : textOf(delegated.secret_path)
  if (secret !== undefined) values.push([['matrix', 'secret'], secret])
  else if (path !== undefined)
    values.push([['matrix', 'secret'], undefined], [['matrix', 'secret_file'], path])
}

function takePasswords(synapse: Section, { values }: FromSynapse): void {
  const config = sectionOf(synapse.password_config)
  // `only_for_reauth` is a third value of `enabled`: nobody signs in with one.
  const enabled = (config.enabled ?? true) === true && config.localdb_enabled !== false
  values.push([['passwords', 'enabled'], enabled])
  if (!enabled) return
  const pepper = textOf(config.pepper)
  const cost = synapse.bcrypt_rounds
  values.push([
    ['passwords', 'schemes'],
    [
      {
        version: 1,
        algorithm: 'bcrypt',
        ...(typeof cost === 'number' && { cost }),
        ...(pepper !== undefined && { secret: pepper }),
        // Synapse hashes passwords in this form.
        unicode_normalization: true,
      },
      { version: 2, algorithm: 'argon2id' },
    ],
  ])
}

function takeAccounts(synapse: Section, { values, notes }: FromSynapse): void {
  const registration = synapse.enable_registration === true
  const needed = Array.isArray(synapse.registrations_require_3pid) ? synapse.registrations_require_3pid : []
  values.push([['account', 'password_registration_enabled'], registration])
  values.push([['account', 'password_registration_email_required'], needed.includes('email')])
  if (needed.includes('msisdn'))
    notes.push('registrations_require_3pid: telephone numbers have no counterpart here')
  if (synapse.registration_requires_token === true)
    values.push([['account', 'password_registration_token_required'], true])
  if (synapse.enable_set_displayname === false)
    values.push([['account', 'displayname_change_allowed'], false])
  if (synapse.enable_3pid_changes === false) values.push([['account', 'email_change_allowed'], false])
}

function takeCaptcha(synapse: Section, { values, notes }: FromSynapse): void {
  if (synapse.enable_registration_captcha !== true) return
  const [site, secret] = [textOf(synapse.recaptcha_public_key), textOf(synapse.recaptcha_private_key)]
  if (site === undefined || secret === undefined)
    notes.push('recaptcha: the keys are not in homeserver.yaml; set captcha yourself')
  else values.push([['captcha'], { service: 'recaptcha_v2', site_key: site, secret_key: secret }])
}

function takeMail(synapse: Section, { values, notes }: FromSynapse): void {
  const email = sectionOf(synapse.email)
  const hostname = textOf(email.smtp_host)
  if (hostname === undefined) return
  const [username, password] = [textOf(email.smtp_user), textOf(email.smtp_pass)]
  const from = textOf(email.notif_from)?.replaceAll('%(app)s', textOf(email.app_name) ?? 'Matrix')
  const mode = email.force_tls === true ? 'tls' : email.enable_tls === false ? 'plain' : 'starttls'
  if (mode === 'starttls' && email.require_transport_security !== true)
    notes.push(
      'email: Synapse goes on without encryption where the mail server has none; email.mode is starttls, which needs it',
    )
  values.push([
    ['email'],
    {
      ...(from !== undefined && { from, reply_to: from }),
      transport: 'smtp',
      mode,
      hostname,
      ...(typeof email.smtp_port === 'number' && { port: email.smtp_port }),
      ...(username !== undefined && password !== undefined && { username, password }),
    },
  ])
}

function takeProviders(synapse: Section, out: FromSynapse, newId: () => string): void {
  const listed = Array.isArray(synapse.oidc_providers) ? synapse.oidc_providers.map(sectionOf) : []
  const single = sectionOf(synapse.oidc_config)
  const all = [...(isOn(single) ? [single] : []), ...listed]
  if (all.length > 0)
    out.values.push([
      ['upstream_oauth2', 'providers'],
      all.map((provider) => providerOf(provider, out.notes, newId())),
    ])
}

/** Keys of a provider that we take over by the same name. */
const SAME = [
  'issuer',
  'client_id',
  'client_secret',
  'authorization_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'pkce_method',
  'additional_authorization_parameters',
] as const

/** Keys whose effect is lost. */
const LOST = {
  client_secret_jwt_key: 'use sign_in_with_apple, or a client_secret',
  passthrough_authorization_parameters: 'use additional_authorization_parameters',
  redirect_uri: 'the address is always that of Latchkey',
} as const

function providerOf(provider: Section, notes: string[], id: string): Record<string, unknown> {
  const idpId = textOf(provider.idp_id)
  const synapseId = idpId === undefined || idpId === 'oidc' ? 'oidc' : `oidc-${idpId.replace(/^oidc-/, '')}`
  for (const [key, instead] of Object.entries(LOST))
    if (provider[key] !== undefined)
      notes.push(`oidc_providers ${synapseId}: ${key} is not taken over; ${instead}`)
  const allowIf = allowIfOf(provider.attribute_requirements)
  if (allowIf === NOBODY)
    notes.push(
      `oidc_providers ${synapseId}: attribute_requirements is not taken over, it cannot be read; until allow_if says who may sign in, nobody may`,
    )
  const secretFile = textOf(provider.client_secret_path)
  const scopes = Array.isArray(provider.scopes) ? provider.scopes.join(' ') : 'openid'
  const method = textOf(provider.client_auth_method) ?? 'client_secret_basic'
  return {
    id,
    synapse_idp_id: synapseId,
    ...named('human_name', provider.idp_name),
    ...named('brand_name', provider.idp_brand),
    ...Object.assign({}, ...SAME.map((key) => named(key, provider[key]))),
    ...(secretFile !== undefined && { client_secret_file: secretFile }),
    token_endpoint_auth_method: method,
    scope: scopes,
    ...(provider.discover === false
      ? { discovery_mode: 'disabled' }
      : provider.skip_verification === true && { discovery_mode: 'insecure' }),
    ...(provider.user_profile_method === 'userinfo_endpoint' && { fetch_userinfo: true }),
    claims_imports: claimsOf(provider),
    ...named('allow_if', allowIf),
    ...(provider.enable_registration === false && { allow_registration: false }),
    // There a logout at the provider ends the devices that came from it (MAS turns this setting round).
    on_backchannel_logout: provider.backchannel_logout_enabled === true ? 'logout_all' : 'do_nothing',
  }
}

/** In place of requirements that cannot be read: they were to keep people out. */
const NOBODY = 'false'

/** Synapse's `attribute_requirements` as an expression: each attribute is there, and is or holds one of its values. */
function allowIfOf(requirements: unknown): string | undefined {
  if (requirements === undefined || requirements === null) return undefined
  if (!Array.isArray(requirements)) return NOBODY
  if (requirements.length === 0) return undefined
  const conditions = requirements.map((requirement) => {
    const { attribute, value, one_of: several } = sectionOf(requirement)
    const values: unknown[] = Array.isArray(several) ? several : value == null ? [] : [value]
    const isReadable = several == null || (Array.isArray(several) && several.length > 0)
    if (textOf(attribute) === undefined || !isReadable || !values.every((one) => typeof one === 'string'))
      return undefined
    const claim = `user[${JSON.stringify(attribute)}]`
    if (values.length === 0) return `${claim} is defined`
    const holds = values.map((one) => `${JSON.stringify(one)} in ${claim}`).join(' or ')
    return `(${holds} if ${claim} is sequence else ${claim} in ${JSON.stringify(values)})`
  })
  return conditions.includes(undefined) ? NOBODY : conditions.join(' and ')
}

function claimsOf(provider: Section): Record<string, unknown> {
  const config = sectionOf(sectionOf(provider.user_mapping_provider).config)
  const subject = textOf(config.subject_template) ?? `{{ user.${textOf(config.subject_claim) ?? 'sub'} }}`
  const [localpart, displayName, email] = ['localpart', 'display_name', 'email'].map((name) =>
    textOf(config[`${name}_template`]),
  )
  const confirmed = config.confirm_localpart === true
  return {
    subject: { template: subject },
    localpart:
      localpart === undefined
        ? { action: 'ignore' }
        : {
            action: confirmed ? 'suggest' : 'require',
            template: localpart,
            // Without a question an account of that name is the person's where Synapse says so too.
            ...(provider.allow_existing_users === true && !confirmed && { on_conflict: 'add' }),
          },
    displayname:
      displayName === undefined ? { action: 'ignore' } : { action: 'suggest', template: displayName },
    email: email === undefined ? { action: 'ignore' } : { action: 'suggest', template: email },
  }
}

const sectionOf = (value: unknown): Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Section) : {}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

const named = (key: string, value: unknown): Record<string, unknown> =>
  value === undefined || value === null ? {} : { [key]: value }

/** A section that is switched on; some have no switch and are on when they are there. */
function isOn(value: unknown): boolean {
  const section = sectionOf(value)
  if (Array.isArray(value)) return value.length > 0
  return Object.keys(section).length > 0 && section.enabled !== false
}
