import { peekJwt } from '../crypto/jwt.ts'
import { type OAuthCode, OAuthError } from '../http/errors.ts'

/** What clients may ask for in their metadata and get from other servers, by the reason why it is not to be had here. */
const UNSERVED: readonly [reason: string, members: readonly string[]][] = [
  [
    'ID tokens are not encrypted here',
    ['id_token_encrypted_response_alg', 'id_token_encrypted_response_enc'],
  ],
  ['userinfo is not encrypted here', ['userinfo_encrypted_response_alg', 'userinfo_encrypted_response_enc']],
  [
    'request objects must be signed and not encrypted',
    ['request_object_encryption_alg', 'request_object_encryption_enc'],
  ],
  [
    'introspection answers in plain JSON (RFC 9701 is not supported)',
    [
      'introspection_signed_response_alg',
      'introspection_encrypted_response_alg',
      'introspection_encrypted_response_enc',
    ],
  ],
  [
    'authorization responses are no JWTs here (JARM is not supported)',
    [
      'authorization_signed_response_alg',
      'authorization_encrypted_response_alg',
      'authorization_encrypted_response_enc',
    ],
  ],
  [
    'clients do not authenticate with certificates here (RFC 8705 is not supported), but with keys: private_key_jwt and DPoP',
    [
      'tls_client_certificate_bound_access_tokens',
      'tls_client_auth_subject_dn',
      'tls_client_auth_san_dns',
      'tls_client_auth_san_uri',
      'tls_client_auth_san_ip',
      'tls_client_auth_san_email',
      'use_mtls_endpoint_aliases',
    ],
  ],
  [
    'front-channel logout is not supported: register backchannel_logout_uri',
    ['frontchannel_logout_uri', 'frontchannel_logout_session_required'],
  ],
  ['authorization details (RFC 9396) are not supported', ['authorization_details_types']],
  ['OpenID Federation is not supported', ['client_registration_types', 'signed_jwks_uri']],
  [
    'backchannel authentication (CIBA) is not supported',
    [
      'backchannel_token_delivery_mode',
      'backchannel_client_notification_endpoint',
      'backchannel_authentication_request_signing_alg',
      'backchannel_user_code_parameter',
    ],
  ],
  [
    'credentials are not asked for here (OpenID for Verifiable Presentations is not supported)',
    ['vp_formats_supported', 'encrypted_response_enc_values_supported'],
  ],
  ['UMA is not supported', ['claims_redirect_uris']],
  [
    'tokens of ETSI NFV-SEC 022 are not issued here',
    ['nfv_token_signed_response_alg', 'nfv_token_encrypted_response_alg', 'nfv_token_encrypted_response_enc'],
  ],
]
const REASONS = new Map(
  UNSERVED.flatMap(([reason, members]) => members.map((name) => [name, reason] as const)),
)

/** `false`, nothing and an empty list are what everybody gets. */
const asksForNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === false || (Array.isArray(value) && value.length === 0)

const refuse = (code: OAuthCode, description: string) => new OAuthError(code, { description })

/**
 * A client that asks for what is not served hears so when it registers (RFC 7591 section 3.2.2), and not from the first
 * answer that it cannot read.
 *
 * @throws OAuthError invalid_client_metadata, unapproved_software_statement, invalid_software_statement
 */
export function checkServed(body: object): void {
  for (const [name, value] of Object.entries(body)) {
    const reason = asksForNothing(value) ? undefined : REASONS.get(name)
    if (reason !== undefined) throw refuse('invalid_client_metadata', `${name}: ${reason}.`)
  }
  checkSubjectType(body)
  checkStatement(body)
}

/** OpenID Connect Core section 8: a `sub` is the same for all clients here, since it is who somebody is on Matrix. */
function checkSubjectType({ subject_type: type }: { subject_type?: unknown }): void {
  if (type !== undefined && type !== 'public')
    throw refuse('invalid_client_metadata', 'subject_type must be public.')
}

/**
 * RFC 7591 section 2.3: what a statement says would go before what the client says itself, for issuers that the server
 * trusts. None is trusted here; whoever relies on one would get another registration than it thinks.
 */
function checkStatement({ software_statement: statement }: { software_statement?: unknown }): void {
  if (asksForNothing(statement)) return
  if (typeof statement !== 'string' || !peekJwt(statement))
    throw refuse('invalid_software_statement', 'The software_statement is not a JWT.')
  throw refuse(
    'unapproved_software_statement',
    'No software statement is approved here: register with the metadata itself.',
  )
}
