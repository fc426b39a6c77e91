import { present, type Reading, secretText } from '../reading.ts'
import type { Path } from '../report.ts'
import type { MutableConfig, RawConfig } from '../schema.ts'

type RawClient = RawConfig['clients'][number]
type RawProvider = RawConfig['upstream_oauth2']['providers'][number]
type Provider = MutableConfig['upstream_oauth2']['providers'][number]

const hasSecret = (one: { client_secret?: string; client_secret_file?: string }): boolean =>
  one.client_secret !== undefined || one.client_secret_file !== undefined

const SECRET_METHODS: readonly string[] = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt']

/** `clients`: each has what its method needs and nothing else; ids are unique and written in upper case. */
export async function resolveClients(
  raw: RawConfig['clients'],
  reading: Reading,
): Promise<MutableConfig['clients']> {
  const seen = new Set<string>()
  const clients: MutableConfig['clients'] = []
  for (const [index, client] of raw.entries()) {
    const path = ['clients', index]
    const { client_secret_file: _, ...rest } = client
    const id = uniqueId(client.client_id, seen, [...path, 'client_id'], reading)
    checkClient(client, path, reading)
    const secret = await secretText(reading, client, 'client_secret', path)
    clients.push({ ...rest, client_id: id, ...present({ client_secret: secret }) })
  }
  return clients
}

function uniqueId(written: string, seen: Set<string>, path: Path, { report }: Reading): string {
  const id = written.toUpperCase()
  if (seen.has(id)) report.problem(path, 'is used twice')
  seen.add(id)
  return id
}

function checkClient(client: RawClient, path: Path, { report }: Reading): void {
  const method = client.client_auth_method
  const keySets = [client.jwks, client.jwks_uri].filter((set) => set !== undefined).length
  if (method === 'private_key_jwt') {
    if (keySets !== 1)
      report.problem(path, 'needs exactly one of `jwks` and `jwks_uri` for `private_key_jwt`')
  } else if (signsRequests(client)) {
    if (keySets !== 1)
      report.problem(path, 'needs exactly one of `jwks` and `jwks_uri`: its request objects are signed')
  } else if (keySets > 0) {
    report.problem(path, `must have neither \`jwks\` nor \`jwks_uri\`: \`${method}\` does not use them`)
  }
  if (client.jwks !== undefined && !Array.isArray(client.jwks.keys)) {
    report.problem([...path, 'jwks'], 'must be a JWK Set: a mapping with a list `keys`')
  }
  const { backchannel_logout_uri: logout } = client
  if (logout !== undefined && !/^https:[^#]*$/i.test(logout))
    report.problem([...path, 'backchannel_logout_uri'], 'must be `https` without a fragment')
  for (const [index, uri] of client.request_uris.entries())
    if (!/^https:/i.test(uri)) report.problem([...path, 'request_uris', index], 'must be `https`')
  checkAssertionAlgorithm(method, client.token_endpoint_auth_signing_alg, path, report)
  if (client.profile === 'fapi2') checkFapi2(client, path, report)
  checkSecret(hasSecret(client), SECRET_METHODS.includes(method), method, path, report)
}

/** A client that signs its authorization requests has keys, however it authenticates (RFC 9101). */
const signsRequests = (client: RawClient): boolean =>
  client.require_signed_request_object ||
  client.request_object_signing_alg !== undefined ||
  client.request_uris.length > 0

/** Shared secrets sign with HMAC, and nothing else does. */
function checkAssertionAlgorithm(
  method: string,
  alg: string | undefined,
  path: Path,
  report: Reading['report'],
): void {
  if (alg === undefined) return
  const fits = alg.startsWith('HS') ? method === 'client_secret_jwt' : method === 'private_key_jwt'
  if (!fits)
    report.problem(
      [...path, 'token_endpoint_auth_signing_alg'],
      `does not fit \`${method}\`: \`HS…\` goes with \`client_secret_jwt\`, the others with \`private_key_jwt\``,
    )
}

/**
 * What the FAPI 2.0 Security Profile asks of the registration of a client: a key of its own (section 5.3.2.1, points 3
 * and 6), `https` redirect URIs (section 5.3.2.2, point 8), and its algorithms (section 5.4.1).
 */
function checkFapi2(client: RawClient, path: Path, report: Reading['report']): void {
  if (client.client_auth_method !== 'private_key_jwt')
    report.problem([...path, 'client_auth_method'], 'must be `private_key_jwt` with `profile: fapi2`')
  for (const [index, uri] of client.redirect_uris.entries())
    if (!/^https:/i.test(uri))
      report.problem([...path, 'redirect_uris', index], 'must be `https` with `profile: fapi2`')
  const { id_token_signed_response_alg: alg } = client
  if (alg !== undefined && !['PS256', 'ES256', 'EdDSA'].includes(alg))
    report.problem(
      [...path, 'id_token_signed_response_alg'],
      'must be `PS256`, `ES256` or `EdDSA` with `profile: fapi2`',
    )
}

function checkSecret(
  given: boolean,
  needed: boolean,
  method: string,
  path: Path,
  report: Reading['report'],
): void {
  if (needed && !given) {
    report.problem(path, `needs \`client_secret\` or \`client_secret_file\` for \`${method}\``)
  }
  if (!needed && given) report.problem(path, `must have no client secret: \`${method}\` does not use one`)
}

/** `upstream_oauth2`: the rules of each provider, and its secrets read. */
export async function resolveUpstream(
  raw: RawConfig['upstream_oauth2'],
  reading: Reading,
): Promise<MutableConfig['upstream_oauth2']> {
  const seen = new Set<string>()
  const providers: Provider[] = []
  for (const [index, provider] of raw.providers.entries()) {
    const path = ['upstream_oauth2', 'providers', index]
    const { client_secret_file: _, sign_in_with_apple: apple, ...rest } = provider
    const id = uniqueId(provider.id, seen, [...path, 'id'], reading)
    checkProvider(provider, path, reading)
    const secret = await secretText(reading, provider, 'client_secret', path)
    providers.push({
      ...rest,
      id,
      ...present({ client_secret: secret }),
      ...(apple === undefined
        ? {}
        : { sign_in_with_apple: await resolveApple(apple, [...path, 'sign_in_with_apple'], reading) }),
    })
  }
  return { providers }
}

async function resolveApple(
  raw: NonNullable<RawProvider['sign_in_with_apple']>,
  path: Path,
  reading: Reading,
): Promise<NonNullable<Provider['sign_in_with_apple']>> {
  const { private_key_file: file, ...rest } = raw
  if (raw.private_key === undefined && file === undefined) {
    reading.report.problem(path, 'needs `private_key` or `private_key_file`')
  }
  if (raw.private_key !== undefined && file !== undefined) {
    reading.report.warn(
      [...path, 'private_key_file'],
      'is not read, since `private_key` is given (as in MAS)',
    )
  }
  const key = raw.private_key ?? (await secretText(reading, raw, 'private_key', path))
  return { ...rest, private_key: key ?? '' }
}

function checkProvider(provider: RawProvider, path: Path, { report }: Reading): void {
  const method = provider.token_endpoint_auth_method
  checkSecret(hasSecret(provider), SECRET_METHODS.includes(method), method, path, report)

  const signs = method === 'client_secret_jwt' || method === 'private_key_jwt'
  const { token_endpoint_auth_signing_alg: assertionAlg } = provider
  if (signs !== (assertionAlg !== undefined)) {
    report.problem(
      [...path, 'token_endpoint_auth_signing_alg'],
      signs ? `is missing: \`${method}\` needs it` : `must be left out: \`${method}\` does not use it`,
    )
  } else checkAssertionAlgorithm(method, assertionAlg, path, report)
  for (const key of ['id_token_signed_response_alg', 'userinfo_signed_response_alg'] as const)
    if (provider[key]?.startsWith('HS') && !hasSecret(provider))
      report.problem(
        [...path, key],
        `\`${provider[key]}\` is verified with a client secret, and there is none`,
      )
  if ((method === 'sign_in_with_apple') !== (provider.sign_in_with_apple !== undefined)) {
    report.problem(
      [...path, 'sign_in_with_apple'],
      'and the method `sign_in_with_apple` must be given together',
    )
  }
  if (provider.issuer === undefined && provider.discovery_mode !== 'disabled') {
    report.problem([...path, 'issuer'], 'is missing: only `discovery_mode: disabled` works without it')
  }
  if (provider.discovery_mode === 'disabled' && provider.enabled) {
    for (const key of ['authorization_endpoint', 'token_endpoint'] as const) {
      if (provider[key] === undefined) {
        report.problem([...path, key], 'is missing: `discovery_mode: disabled` needs it')
      }
    }
  }
  checkClaims(provider.claims_imports, [...path, 'claims_imports'], report)
}

function checkClaims(claims: RawProvider['claims_imports'], path: Path, report: Reading['report']): void {
  const { localpart } = claims
  if (localpart.on_conflict !== 'fail' && localpart.action !== 'force' && localpart.action !== 'require') {
    report.problem(
      [...path, 'localpart', 'on_conflict'],
      'other than `fail` needs the action `force` or `require`',
    )
  }
  if (!claims.skip_confirmation) return
  if (localpart.action !== 'require') {
    report.problem([...path, 'localpart', 'action'], 'must be `require` with `skip_confirmation`')
  }
  for (const key of ['displayname', 'email'] as const) {
    if (claims[key].action === 'suggest') {
      report.problem([...path, key, 'action'], 'must not be `suggest` with `skip_confirmation`')
    }
  }
}
