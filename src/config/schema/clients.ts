import { Type } from '@sinclair/typebox'
import {
  admission,
  bool,
  fields,
  freeForm,
  list,
  maybeOneOf,
  needOneOf,
  needText,
  oneOf,
  section,
  text,
  textOr,
  ulid,
  url,
} from './parts.ts'

/** What clients may sign with under keys of their own. */
const ASYMMETRIC = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const
const SYMMETRIC = ['HS256', 'HS384', 'HS512'] as const
/** What providers may sign with: their keys, which may be called by the newer name (RFC 9864), or our secret there. */
const OF_PROVIDERS = [...SYMMETRIC, ...ASYMMETRIC, 'Ed25519' as const]

/** `clients`: OAuth clients that the operator knows. */
export const clients = list(
  fields({
    client_id: ulid('Id of the client: a ULID.'),
    client_auth_method: needOneOf(
      ['none', 'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'],
      'How the client proves who it is.',
    ),
    client_name: text('Name on the consent page.'),
    client_uri: url('Its home page.'),
    logo_uri: url('Its picture, shown where people sign in and consent.'),
    policy_uri: url('Its privacy policy, linked there.'),
    tos_uri: url('Its terms of use, linked there.'),
    client_secret: text('Its secret. Required for the methods with a secret.'),
    client_secret_file: text('The same, from a file.'),
    jwks: Type.Optional(
      freeForm('Its public keys, a JWK Set: for `private_key_jwt` and for signed request objects.'),
    ),
    jwks_uri: url('Where its public keys are, instead of `jwks`.'),
    redirect_uris: list(Type.String({ url: 'any' }), [], 'Where people may be sent back to.'),
    post_logout_redirect_uris: list(
      Type.String({ url: 'any' }),
      [],
      'Where people may be sent back to when the client signs them out: exactly these addresses.',
    ),
    backchannel_logout_uri: url('Where the client is told that somebody signed out: `https`.'),
    profile: maybeOneOf(
      ['fapi2'],
      '`fapi2`: the rules of the FAPI 2.0 Security Profile count for this client. Needs `private_key_jwt`.',
    ),
    require_pushed_authorization_requests: bool(
      false,
      'The client must push its authorization requests (RFC 9126).',
    ),
    require_signed_request_object: bool(
      false,
      'The client must send its authorization requests as signed request objects (RFC 9101).',
    ),
    request_uris: list(
      Type.String({ url: 'http' }),
      [],
      'Where its request objects may be fetched from: exactly these addresses, `https`.',
    ),
    request_object_signing_alg: maybeOneOf(
      [...ASYMMETRIC],
      'How its request objects are signed; without it in any of the ways that there are.',
    ),
    token_endpoint_auth_signing_alg: maybeOneOf(
      [...SYMMETRIC, ...ASYMMETRIC],
      'How it signs when it authenticates with `client_secret_jwt` (`HS…`) or `private_key_jwt`; without it in any of the ways that there are.',
    ),
    userinfo_signed_response_alg: text(
      'Userinfo is signed for it, in an algorithm that `secrets.keys` can do. Without it userinfo is plain JSON.',
    ),
    default_max_age: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Seconds that a sign-in may lie back, for requests that do not say it (`max_age`).',
      }),
    ),
    dpop_bound_access_tokens: bool(false, 'The client gets tokens only with a DPoP proof (RFC 9449).'),
    id_token_signed_response_alg: text(
      'How its ID tokens are signed: an algorithm that `secrets.keys` can do. `RS256` unless it is given, `PS256` or what there is under `profile: fapi2`.',
    ),
  }),
  [],
  'OAuth clients that you know.',
)

const action = oneOf(['ignore', 'suggest', 'force', 'require'], 'ignore', 'What is done with the value.')

/** `upstream_oauth2`: sign-in through other providers. */
export const upstream = section(
  {
    providers: list(
      fields({
        id: ulid('Id of the provider: a ULID. It is part of the redirect URI.'),
        enabled: bool(true, '`false` takes the provider away.'),
        synapse_idp_id: text('Its id in Synapse (`oidc-…`), for an import.'),
        issuer: text('Its issuer, compared exactly. Required unless `discovery_mode` is `disabled`.'),
        human_name: text('Name on the button.'),
        brand_name: text('Brand of the button, for example `github`.'),
        client_id: needText('Our id there.'),
        client_secret: text('Our secret there.'),
        client_secret_file: text('The same, from a file.'),
        token_endpoint_auth_method: needOneOf(
          [
            'none',
            'client_secret_basic',
            'client_secret_post',
            'client_secret_jwt',
            'private_key_jwt',
            'sign_in_with_apple',
          ],
          'How we prove who we are.',
        ),
        token_endpoint_auth_signing_alg: maybeOneOf(
          [...SYMMETRIC, ...ASYMMETRIC],
          'How we sign with `client_secret_jwt` (`HS…`) and `private_key_jwt` (the others), required there.',
        ),
        sign_in_with_apple: Type.Optional(
          fields(
            {
              team_id: needText('Team id.'),
              key_id: needText('Key id.'),
              private_key: text('Private key (PEM).'),
              private_key_file: text('The same, from a file.'),
            },
            'For the method of that name only.',
          ),
        ),
        id_token_signed_response_alg: oneOf(OF_PROVIDERS, 'RS256', 'How its ID tokens are signed.'),
        id_token_encrypted_response_alg: maybeOneOf(
          [
            'RSA-OAEP',
            'RSA-OAEP-256',
            'RSA-OAEP-384',
            'RSA-OAEP-512',
            'ECDH-ES',
            'ECDH-ES+A128KW',
            'ECDH-ES+A192KW',
            'ECDH-ES+A256KW',
          ],
          'How it encrypts them to us, if it does: our keys are then in `keys.json` for that too (`use: enc`).',
        ),
        scope: textOr('openid', 'What we ask for.'),
        discovery_mode: oneOf(
          ['oidc', 'insecure', 'disabled'],
          'oidc',
          'Whether its metadata is read (`insecure`: without checking it).',
        ),
        pkce_method: oneOf(['auto', 'always', 'never'], 'auto', 'Whether PKCE is used.'),
        fetch_userinfo: bool(false, 'Ask its userinfo endpoint too.'),
        userinfo_signed_response_alg: maybeOneOf(OF_PROVIDERS, 'How its userinfo is signed, if it is.'),
        authorization_endpoint: url('Overrides its metadata.'),
        token_endpoint: url('Overrides its metadata.'),
        userinfo_endpoint: url('Overrides its metadata.'),
        jwks_uri: url('Overrides its metadata.'),
        response_mode: maybeOneOf(['query', 'form_post'], 'How it answers.'),
        additional_authorization_parameters: Type.Optional(
          Type.Record(Type.String(), Type.String(), {
            description: 'More parameters (templates) of the authorization request.',
          }),
        ),
        forward_login_hint: bool(false, 'Pass `login_hint` on. Deprecated in MAS 1.20.'),
        claims_imports: section(
          {
            subject: section(
              { template: textOr('{{ user.sub }}', 'Who it is.') },
              'Id of the person at the provider.',
            ),
            skip_confirmation: bool(false, 'No page to confirm before the account is made.'),
            localpart: section(
              {
                action,
                template: textOr('{{ user.preferred_username }}', 'The value.'),
                on_conflict: oneOf(
                  ['fail', 'add', 'replace', 'set'],
                  'fail',
                  'What happens when the account exists already.',
                ),
              },
              'User name.',
            ),
            displayname: section(
              { action, template: textOr('{{ user.name }}', 'The value.') },
              'Display name.',
            ),
            email: section(
              {
                action,
                template: textOr('{{ user.email }}', 'The value.'),
                unverified: oneOf(
                  ['verify', 'drop', 'accept'],
                  'verify',
                  'What is done with an address that the provider calls unverified (`email_verified`): a code proves it, it is left out, or it is taken all the same, as MAS does.',
                ),
              },
              'Email address.',
            ),
            account_name: section(
              { template: text('How the account is called in our lists.') },
              'Label of the linked account.',
            ),
          },
          'What is taken over from the provider.',
        ),
        on_backchannel_logout: oneOf(
          ['do_nothing', 'logout_browser_only', 'logout_all'],
          'do_nothing',
          'What a logout at the provider ends here.',
        ),
        registration_token_required: bool(false, 'New accounts need an invitation.'),
        ...admission('the claims'),
        allow_registration: bool(
          true,
          '`false`: the provider signs in who has an account, and creates none.',
        ),
        sync_on_login: list(
          Type.Union([Type.Literal('displayname'), Type.Literal('email')]),
          [],
          'What is taken over at every sign-in, not only at the first: `displayname`, `email`.',
        ),
        email_domains: list(
          Type.String({ minLength: 1 }),
          [],
          'Whoever types an address of these domains at sign-in is sent to this provider.',
        ),
        rp_initiated_logout: bool(
          false,
          'Who signs out here is signed out there too, if it can do that. Register `public_base` there as the address to return to.',
        ),
      }),
      [],
      'Other providers that people may sign in with.',
    ),
  },
  'Sign-in through other providers.',
)
