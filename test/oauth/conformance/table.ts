/**
 * Beside each module of the certification plans (`plans.ts`): the tests that show the rule behind it on their own, with
 * the cases that the module has not. The module itself is a test of its own name in `conformance.test.ts` or
 * `conformance-fapi2.test.ts`. Written `file: name`, for the files of `test/oauth/`; `conformance.test.ts` checks that
 * each of them exists, and that no module is without.
 */
export const RULE_TESTS: Readonly<Record<string, readonly string[]>> = {
  // --- Config
  'oidcc-discovery-endpoint-verification': [
    'discovery: it names what works here and nothing else',
    'discovery: GET /oauth2/keys.json: public members only (reference 2.2)',
    'discovery-truth: claims_supported: every claim of an ID token and of userinfo, and no other (OpenID Connect Discovery 3)',
    'discovery-truth: a list without members is left out (RFC 8414 section 3.2)',
  ],

  // --- Basic and Form Post
  'oidcc-server': [
    'clients: oauth4webapi: discovery, registration, grant, ID token, userinfo, refresh, revocation',
  ],
  'oidcc-response-type-missing': [
    'request-object: the response_type and the redirect URI are checked as ever',
  ],
  'oidcc-idtoken-signature': ['discovery-truth: %s_signing_alg_values_supported'],
  'oidcc-idtoken-unsigned': ['discovery-truth: %s_signing_alg_values_supported'],
  'oidcc-userinfo-get': ['tokens: sub and username, by header or form'],
  'oidcc-userinfo-post-header': [
    'tokens: a malformed header, a token twice, and a token in the query: 400 with WWW-Authenticate',
  ],
  'oidcc-userinfo-post-body': ['tokens: sub and username, by header or form'],
  'oidcc-ensure-request-without-nonce-succeeds-for-code-flow': [
    'token: the answer has the members of RFC 6749 5.1, is never kept, and is readable from other origins',
  ],
  'oidcc-scope-profile': ['person-claims: the consent page says what they are'],
  'oidcc-scope-email': ['person-claims: userinfo tells things as they are now'],
  'oidcc-scope-address': [
    'discovery-truth: what is not named is refused, but for devices, of which there is no end, and what old scripts ask for',
  ],
  'oidcc-scope-phone': [
    'discovery-truth: what is not named is refused, but for devices, of which there is no end, and what old scripts ask for',
  ],
  'oidcc-scope-all': [
    'discovery-truth: each of them is granted to somebody who may have it, and told to the homeserver',
  ],
  'oidcc-alternate-happy-flow': ['authorize-oidc: POST does the same'],
  'oidcc-display-page': ['authorize-oidc: display=%s is no error'],
  'oidcc-display-popup': ['authorize-oidc: display=%s is no error'],
  'oidcc-prompt-login': [
    'authorize-oidc: the person who is signed in gives the password once more, and the session goes on',
    'authorize-oidc: no way around: neither the consent page nor its POST answer before',
    'authentication-method: prompt=login and max_age: with the password, then with the provider',
  ],
  'oidcc-prompt-none-not-logged-in': [
    'authorize-oidc: nobody signed in, a session that ended, an account that is locked: login_required',
  ],
  'oidcc-prompt-none-logged-in': ['authorize-oidc: a remembered consent gives a code without a page'],
  'oidcc-max-age-1': [
    'authorize-oidc: a sign-in that is young enough is enough, an older one is asked for again',
    'authorize-oidc: default_max_age of the client counts where the request says nothing',
  ],
  'oidcc-max-age-10000': ['authorize-oidc: an age beyond all time is no error'],
  'oidcc-ensure-request-with-unknown-parameter-succeeds': [
    'authorize-fuzz: GET and POST /authorize: whatever is sent, signed in or not, is answered in its form (RFC 6749 4.1.2.1)',
  ],
  'oidcc-id-token-hint': [
    'authorize-oidc: id_token_hint of the person who is signed in, expired or not',
    'authorize-oidc: id_token_hint of somebody else: that person must sign in, and nobody else gets through',
    'authorize-oidc: id_token_hint must be an ID token of ours for this client: invalid_request',
  ],
  'oidcc-login-hint': [
    'authorize-oidc: login_hint names somebody else: the page is shown, and the name is filled in after a change of accounts',
  ],
  'oidcc-ui-locales': [
    'authorize-oidc: the whole flow is in the language of the request, whatever the browser prefers',
  ],
  'oidcc-claims-locales': [
    'authorize: ui_locales and Accept-Language of any form are taken or ignored, never an error',
  ],
  'oidcc-ensure-request-with-acr-values-succeeds': [
    'authorize-oidc: acr is told where it was asked for, and only there',
    'authentication-method: sign-in with a password: pwd',
    'authentication-method: sign-up and sign-in through a provider: neither, whatever the provider says of itself',
  ],
  'oidcc-codereuse': [
    'token: a code used twice is invalid_grant, and within 20 s the session of the first use stays',
    'code-exchange: at the same instant in several processes: one gets tokens, the others invalid_grant, and it stays signed in',
  ],
  'oidcc-codereuse-30seconds': [
    'token: a code replayed after 20 s ends its session and tells the homeserver, once (RFC 6749 4.1.2, edge 19)',
  ],
  'oidcc-ensure-registered-redirect-uri': [
    'redirect-uri: what matches is the registered one, or differs from it in the port of a loopback address alone',
  ],
  'oidcc-ensure-post-request-succeeds': [
    'authorize: POST does the same, and a body that is no form is a page',
  ],
  'oidcc-server-client-secret-post': [
    'token: unknown clients, wrong secrets and other methods are 401 invalid_client, without WWW-Authenticate',
  ],
  'oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported': [
    'request-object: what is no request object, too much, or an error there',
  ],
  'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported': [
    'request-object: a key that is none, of a client that has none',
  ],
  'oidcc-claims-essential': [
    'authorize-oidc: auth_time as an essential claim is there, unknown claims and languages are left out',
    'person-claims: claims that are asked for one by one are asked for as their scope, on the page',
  ],
  'oidcc-ensure-request-object-with-redirect-uri': [
    'request-object: the parameters inside are those that count',
  ],
  'oidcc-refresh-token': [
    'refresh: the old access token is refused at once, the new one works (edge 17)',
    'token: a refresh token of another client is invalid_grant and stays usable for its own',
  ],
  'oidcc-ensure-request-with-valid-pkce-succeeds': [
    'token: PKCE: the verifier must be there, well formed and right; a wrong one does not spend the code (RFC 7636)',
  ],

  // --- Dynamic
  'oidcc-idtoken-rs256': ['discovery-truth: %s_signing_alg_values_supported'],
  'oidcc-userinfo-rs256': ['tokens: signed for a client that asked for it: iss and aud, neither iat nor exp'],
  'oidcc-ensure-redirect-uri-in-authorization-request': [
    'authorize: no redirect URI where several are registered',
    'authorize: a redirect URI may be left out when one is registered',
  ],
  'oidcc-redirect-uri-query-OK': [
    'authorize: parameters of the registered URI stay as they are spelt (edge 6)',
  ],
  'oidcc-redirect-uri-query-mismatch': ['redirect-uri: nothing is registered: nothing matches'],
  'oidcc-redirect-uri-query-added': ['authorize: foreign redirect URI %s'],
  'oidcc-redirect-uri-regfrag': ['registration: refused: %s'],
  'oidcc-registration-logo-uri': ['client-metadata: %s: %s'],
  'oidcc-registration-policy-uri': ['client-metadata: %s is kept in every language (RFC 7591 section 2.2)'],
  'oidcc-registration-tos-uri': ['client-metadata: %s is kept in every language (RFC 7591 section 2.2)'],
  'oidcc-registration-jwks-uri': [
    'client-keys: is fetched once and kept',
    'client-keys: 64 kB are read, and not a byte more: the key that the client signs with is in both',
  ],
  'oidcc-registration-sector-uri': ['client-metadata: %s: %s'],
  'oidcc-registration-sector-bad': ['client-metadata: %s: %s', 'registration: refused: %s'],
  'oidcc-server-rotate-keys': [
    'keyring: keys rotate: new keys are published at once and sign after one lifetime of the key set, in every process (decision 15)',
  ],
  'oidcc-refresh-token-rp-key-rotation': [
    'client-keys: a new key of the client is found by its kid, but not more often than twice a minute',
  ],
  'oidcc-request-uri-unsigned': ['request-object: what is no request object, too much, or an error there'],
  'oidcc-request-uri-signed-rs256': [
    'request-object: a registered one is fetched, and what it holds counts',
    'request-object: request_object_signing_alg of the client is the only one that counts',
    'request-object: private addresses are not fetched',
  ],
  'oidcc-ensure-client-assertion-with-iss-aud-succeeds': [
    'client-assertion: %s: what breaks it alone is refused, what just keeps it is taken',
    'client-assertion: checkOnce: a jti is good once, in whichever process, also at the same instant (RFC 7523 section 3, point 7)',
  ],

  // --- RP-Initiated Logout
  'oidcc-rp-initiated-logout-discovery-endpoint-verification': [
    'discovery: it names what works here and nothing else',
  ],
  'oidcc-rp-initiated-logout': [
    'end-session: signs out without a question and goes back with state (RP-Initiated Logout 2, 3)',
    'end-session: an expired ID token is as good (section 4)',
  ],
  'oidcc-rp-initiated-logout-bad-post-logout-redirect-uri': ['end-session: the address of another client'],
  'oidcc-rp-initiated-logout-modified-id-token-hint': ['backchannel-logout: is no id_token_hint'],
  'oidcc-rp-initiated-logout-no-id-token-hint': [
    'end-session: and goes back after the click to an address that the client_id registered',
    'end-session: an address without a client',
  ],
  'oidcc-rp-initiated-logout-no-params': ['end-session: without an address there is nothing to ask'],
  'oidcc-rp-initiated-logout-no-post-logout-redirect-uri': [
    'end-session: without an address shows that the person is signed out',
  ],
  'oidcc-rp-initiated-logout-no-state': ['end-session: keeps the query of the registered address'],
  'oidcc-rp-initiated-logout-only-state': [
    'end-session: a state of 5,000 characters is not carried anywhere',
  ],
  'oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri': [
    'end-session: an address that was registered and is dangerous all the same',
  ],
  'oidcc-rp-initiated-logout-bad-id-token-hint': [
    'end-session: a hint of an earlier session here: asks, then goes back',
  ],

  // --- Back-Channel Logout
  'oidcc-backchannel-logout-discovery-endpoint-verification': [
    'backchannel-logout: discovery says that it works here (Back-Channel Logout 2.1)',
  ],
  'oidcc-backchannel-rp-initiated-logout': [
    'backchannel-logout: is posted as a form and says who signed out of which session of which client',
    'backchannel-logout: every client of the session that registered for it, each with its own sid, and nobody else',
    'backchannel-logout: %s is tried again with a new token, which then arrives',
  ],
}

/** The same for the FAPI 2.0 Security Profile, whose rules are in `fapi2.test.ts` point by point. */
export const FAPI2_RULE_TESTS: Readonly<Record<string, readonly string[]>> = {
  'discovery-end-point-verification': ['fapi2: point 1: metadata by discovery'],
  'happy-flow': ['fapi2: points 2 and 3: requests are pushed; any other way is refused'],
  'user-rejects-authentication': ['fapi2: point 7: iss is in every answer, errors too (RFC 9207)'],
  'ensure-authorization-request-without-state-success': ['authorize: state is left out when none was sent'],
  'ensure-authorization-request-without-nonce-success': ['fapi2: point 1: response_type code alone'],
  'ensure-authorization-request-with-64-char-nonce-success': [
    'authorize: what anybody can make a row of is bounded: a long scope is refused, other long parameters are not kept',
  ],
  'ensure-other-scope-order-succeeds': ['person-claims: the consent page says what they are'],
  'test-claims-parameter-identity-claims': [
    'person-claims: claims that are asked for one by one are asked for as their scope, on the page',
  ],
  'access-token-type-header-case-sensitivity': [
    'dpop: the scheme DPoP with a proof of the key for this token',
  ],
  'check-dpop-proof-nbf-exp': ['dpop: %s: invalid_dpop_proof'],
  'ensure-dpopproof-with-iat-10seconds-before-succeeds': [
    'fapi2: point 13: iat and nbf 10 seconds ahead are taken, more than 60 are not',
  ],
  'ensure-dpopproof-with-iat-10seconds-after-succeeds': [
    'dpop: iat may be 5 minutes old and half a minute ahead, not more',
  ],
  'ensure-mismatched-dpop-jkt-fails': [
    'dpop: two keys, a proof for another endpoint, a malformed thumbprint are refused',
  ],
  'ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt': [
    'fapi2: point 12: a code is bound to the key of the pushed request (RFC 9449 section 10)',
  ],
  'ensure-token-endpoint-fails-with-mismatched-dpop-jkt': [
    'dpop: as a parameter of the authorization request',
  ],
  'ensure-dpopproof-at-par-endpoint-binding-success': [
    'dpop: as a parameter of the pushed request, as its DPoP header, and as both',
  ],
  'ensure-dpop-auth-code-binding-success': ['dpop: as a parameter of the authorization request'],
  'ensure-different-nonce-inside-and-outside-request-object': ['par: nothing beside it counts'],
  'ensure-different-state-inside-and-outside-request-object': ['par: nothing beside it counts'],
  'ensure-authorization-request-with-long-nonce': [
    'authorize: what anybody can make a row of is bounded: a long scope is refused, other long parameters are not kept',
  ],
  'ensure-authorization-request-with-long-state': [
    'authorize: what anybody can make a row of is bounded: a long scope is refused, other long parameters are not kept',
  ],
  'state-only-outside-request-object-not-used': ['par: nothing beside it counts'],
  'ensure-request-object-without-redirect-uri-fails': ['fapi2: point 6: redirect_uri is in every request'],
  'plain-fapi-tolerate-unregistered-redirect-uri': [
    'fapi2: point 8: redirect URIs are https and compared exactly',
  ],
  'ensure-unsigned-authorization-request-without-using-par-fails': [
    'fapi2: points 2 and 3: requests are pushed; any other way is refused',
  ],
  'ensure-redirect-uri-in-authorization-request': ['fapi2: point 6: redirect_uri is in every request'],
  'ensure-response-type-code-idtoken-fails': ['fapi2: point 1: response_type code alone'],
  'ensure-response-type-token-fails': ['fapi2: point 1: response_type code alone'],
  'ensure-client-id-in-token-endpoint': [
    'client-auth: mixed or malformed credentials: invalid_request; another client_id: invalid_grant',
  ],
  'ensure-holder-of-key-required': ['fapi2: points 4 and 5: every access token is bound by DPoP'],
  'ensure-authorization-code-is-bound-to-client': [
    'token: a code of another client is unauthorized_client, and stays usable for its own',
  ],
  'attempt-reuse-authorization-code-after-one-second': [
    'fapi2: point 9: a code is good once, at the same time too',
  ],
  'ensure-token-endpoint-fails-with-expired-auth-code': ['fapi2: point 11: a code holds for 60 seconds'],
  'ensure-signed-client-assertion-with-RS256-fails': [
    'fapi2: client assertions: PS256, ES256 and EdDSA, nothing else',
  ],
  'ensure-client-assertion-in-token-endpoint': [
    'fapi2: points 3 and 6: the client authenticates with private_key_jwt, and in no other way',
  ],
  'ensure-client-assertion-with-exp-is-5-minutes-in-past-fails': [
    'client-assertion: it is over: exp, with half a minute for clocks',
  ],
  'ensure-client-assertion-with-wrong-aud-fails': [
    'fapi2: point 8: aud of a client assertion is the issuer as a string',
  ],
  'ensure-client-assertion-with-no-sub-fails': [
    'client-assertion: %s: what breaks it alone is refused, what just keeps it is taken',
  ],
  'dpop-negative-tests': [
    'dpop: a key with its secret half, a shared secret, alg none, another key’s signature: invalid_dpop_proof',
    'dpop: no proof, one of another key, method, address or token, or one from before: refused',
    'fapi2: DPoP proofs: the same',
  ],
  'refresh-token': [
    'fapi2: point 9: a refresh does not replace the refresh token',
    'fapi2: point 9: the refresh token ends with its session, and is no good to other clients',
  ],
  'par-ensure-reused-request-uri-prior-to-auth-completion-succeeds': [
    'par: is good for one answer: its page may be opened again before, and is no good after',
  ],
  'par-attempt-reuse-request_uri': [
    'par: is good for one answer, in two browsers at the same time too; a refusal is one',
  ],
  'par-attempt-to-use-expired-request_uri': [
    'par: is good for 60 seconds',
    'fapi2: point 12: a request_uri holds for less than 600 seconds',
  ],
  'par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted': [
    'client-assertion: it has yet to begin: nbf, with half a minute for clocks',
  ],
  'par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails': [
    'fapi2: point 13: iat and nbf 10 seconds ahead are taken, more than 60 are not',
  ],
  'par-attempt-to-use-request_uri-for-different-client': [
    'par: is good for the client that pushed it, and another one does not spend it',
  ],
  'par-authorization-request-containing-request_uri-form-param': [
    'par: what /authorize would refuse is refused: %s',
  ],
  'par-attempt-invalid-http-method': ['par: GET is 405, other origins may call it'],
  'par-ensure-pkce-required': ['fapi2: point 5: PKCE with S256'],
  'ensure-pkce-code-verifier-required': ['par: PKCE of the pushed request binds the code'],
  'incorrect-pkce-code-verifier-rejected': ['par: PKCE of the pushed request binds the code'],
  'par-plain-pkce-rejected': ['fapi2: point 5: PKCE with S256'],
  'par-without-duplicate-parameters': ['resource: every other parameter is refused when it is repeated'],
  'par-test-array-as-audience-fails': ['fapi2: point 8: aud of a client assertion is the issuer as a string'],
  'par-test-par-endpoint-url-as-audience-fails': [
    'fapi2: point 8: aud of a client assertion is the issuer as a string',
  ],
  'par-test-token-endpoint-url-as-audience-fails': [
    'fapi2: point 8: aud of a client assertion is the issuer as a string',
  ],
}
