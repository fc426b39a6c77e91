import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { parse } from 'yaml'
import { createClaimTemplates } from '../../src/render/claim-templates.ts'
import { latchkey, newFolder } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

let folder: Awaited<ReturnType<typeof newFolder>>
beforeAll(async () => {
  folder = await newFolder()
})
afterAll(() => folder.remove())

const SYNAPSE = `
server_name: example.org
public_baseurl: https://matrix.example.org/
bcrypt_rounds: 11
password_config: { pepper: "ground-black" }
enable_registration: true
registrations_require_3pid: [email, msisdn]
registration_requires_token: true
enable_set_displayname: false
enable_3pid_changes: false
enable_registration_captcha: true
recaptcha_public_key: site
recaptcha_private_key: hidden
matrix_authentication_service: { enabled: true, endpoint: "http://localhost:8080/", secret: "shared-with-synapse" }
email:
  smtp_host: smtp.example.org
  smtp_port: 587
  smtp_user: mailer
  smtp_pass: hidden
  require_transport_security: true
  notif_from: "%(app)s <noreply@example.org>"
  app_name: Example
saml2_config: { sp_config: {} }
cas_config: { enabled: false, server_url: x }
oidc_providers:
  - idp_id: github
    idp_name: GitHub
    idp_brand: github
    discover: false
    issuer: https://github.com/
    client_id: ours
    client_secret: hidden
    authorization_endpoint: https://github.com/login/oauth/authorize
    token_endpoint: https://github.com/login/oauth/access_token
    userinfo_endpoint: https://api.github.com/user
    user_profile_method: userinfo_endpoint
    scopes: ["read:user"]
    user_mapping_provider:
      config: { subject_claim: id, localpart_template: "{{ user.login }}", display_name_template: "{{ user.name }}" }
  - idp_id: company
    idp_name: Company
    issuer: https://sso.example.org/
    client_id: ours
    client_secret: hidden
    backchannel_logout_enabled: true
    allow_existing_users: true
    enable_registration: false
    attribute_requirements:
      - { attribute: groups, value: staff }
      - { attribute: "the \\"ship\\"", one_of: [Ada, "Ma'ria"] }
      - { attribute: sub }
    scopes: [openid, profile, email]
    user_mapping_provider:
      config: { localpart_template: "{{ user.preferred_username }}", email_template: "{{ user.email }}" }
`

test('config generate --synapse-config: what Synapse says is taken over, and what it cannot is said', async () => {
  await Bun.write(join(folder.path, 'homeserver.yaml'), SYNAPSE)
  // A section of a later file replaces that of an earlier one, as in Synapse.
  await Bun.write(join(folder.path, 'more.yaml'), 'password_config: { pepper: "freshly-ground" }\n')
  const args = ['config', 'generate', '--synapse-config', 'homeserver.yaml', '--synapse-config', 'more.yaml']
  const { code, out, err } = await latchkey(args, { cwd: folder.path })
  expect(code).toBe(0)
  const config = parse(out)
  expect(config.matrix).toMatchObject({
    kind: 'synapse',
    homeserver: 'example.org',
    endpoint: 'https://matrix.example.org/',
    secret: 'shared-with-synapse',
  })
  expect(config.passwords).toEqual({
    enabled: true,
    schemes: [
      { version: 1, algorithm: 'bcrypt', cost: 11, secret: 'freshly-ground', unicode_normalization: true },
      { version: 2, algorithm: 'argon2id' },
    ],
  })
  expect(config.account).toEqual({
    password_registration_enabled: true,
    password_registration_email_required: true,
    password_registration_token_required: true,
    displayname_change_allowed: false,
    email_change_allowed: false,
  })
  expect(config.captcha).toEqual({ service: 'recaptcha_v2', site_key: 'site', secret_key: 'hidden' })
  expect(config.email).toEqual({
    from: 'Example <noreply@example.org>',
    reply_to: 'Example <noreply@example.org>',
    transport: 'smtp',
    mode: 'starttls',
    hostname: 'smtp.example.org',
    port: 587,
    username: 'mailer',
    password: 'hidden',
  })
  const [github, company] = config.upstream_oauth2.providers
  expect(github).toMatchObject({
    synapse_idp_id: 'oidc-github',
    human_name: 'GitHub',
    brand_name: 'github',
    discovery_mode: 'disabled',
    fetch_userinfo: true,
    scope: 'read:user',
    token_endpoint_auth_method: 'client_secret_basic',
    on_backchannel_logout: 'do_nothing',
    claims_imports: { subject: { template: '{{ user.id }}' }, localpart: { action: 'require' } },
  })
  expect(github.id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
  expect(company).toMatchObject({
    synapse_idp_id: 'oidc-company',
    on_backchannel_logout: 'logout_all',
    scope: 'openid profile email',
    claims_imports: { localpart: { on_conflict: 'add' }, email: { template: '{{ user.email }}' } },
    allow_registration: false,
  })
  const templates = createClaimTemplates()
  const isIn = (user: object) => templates.holds(company.allow_if, { user: { sub: '1', ...user } })
  const ship = (name: unknown) => ({ 'the "ship"': name })
  for (const user of [
    { groups: ['crew', 'staff'], ...ship('Ada') },
    { groups: 'staff', ...ship(["Ma'ria"]) },
  ])
    expect([user, isIn(user)]).toEqual([user, true])
  for (const user of [
    {},
    { groups: 'staff' },
    { groups: ['crew'], ...ship('Ada') },
    // A part of a text is no value.
    { groups: 'not-staff', ...ship('Ada') },
    { groups: ['staff'], ...ship('Adam') },
    { groups: ['staff'], ...ship('Ada'), sub: undefined },
  ])
    expect([user, isIn(user)]).toEqual([user, false])
  expect(github).not.toHaveProperty('allow_if')
  expect(github).not.toHaveProperty('allow_registration')
  const notes = err.trimEnd().split('\n')
  expect(notes.filter((line) => !line.startsWith('Not taken over: '))).toEqual([])
  for (const what of ['registrations_require_3pid', 'saml2_config']) expect(err).toContain(what)
  expect(err).not.toMatch(/cas_config|hidden|ground|attribute_requirements|enable_registration/)

  await Bun.write(join(folder.path, 'taken.yaml'), out)
  expect((await latchkey(['config', 'check', '-c', 'taken.yaml'], { cwd: folder.path })).code).toBe(0)
})

test('config generate --synapse-config: the least, an earlier delegation, and what is no Synapse', async () => {
  const generate = async (text: string) => {
    await Bun.write(join(folder.path, 'some.yaml'), text)
    return latchkey(['config', 'generate', '--synapse-config', 'some.yaml'], { cwd: folder.path })
  }
  const least = await generate('server_name: example.org\npassword_config: { enabled: only_for_reauth }\n')
  expect(least.code).toBe(0)
  expect(parse(least.out).passwords).toEqual({ enabled: false })
  expect(parse(least.out).account.password_registration_enabled).toBe(false)
  expect(least.err).toContain('public_baseurl')
  const earlier = await generate(
    'server_name: example.org\nexperimental_features: { msc3861: { enabled: true, admin_token: hush } }\n',
  )
  expect(parse(earlier.out).matrix).toMatchObject({ kind: 'synapse_legacy', secret: 'hush' })
  const lacking = await generate(
    'server_name: example.org\npublic_baseurl: https://m.example.org/\noidc_providers: [{ idp_id: x, issuer: "https://x.org/", client_id: a }]\n',
  )
  expect(lacking.err).toMatch(/^To be mended: .*client_secret/m)
  // What was to keep people out and cannot be read lets nobody in.
  for (const requirements of ['staff', '[{ value: staff }]', '[{ attribute: a, one_of: [] }]']) {
    const unread = await generate(
      `server_name: example.org\noidc_providers: [{ idp_id: x, issuer: "https://x.org/", client_id: a, attribute_requirements: ${requirements} }]\n`,
    )
    expect(parse(unread.out).upstream_oauth2.providers).toMatchObject([{ allow_if: 'false' }])
    expect(unread.err).toContain('attribute_requirements')
  }
  for (const text of ['matrix: { secret: hush }', '- hush', '{ hush'])
    expect(await generate(text)).toMatchObject({ code: 1, out: '', err: expect.not.stringContaining('hush') })
  const missing = ['config', 'generate', '--synapse-config', '/nowhere.yaml']
  expect((await latchkey(missing, { cwd: folder.path })).err).toMatch(
    /^\/nowhere\.yaml can't be read \(ENOENT\)/,
  )
})
