/**
 * How people sign in here, as an authentication context class (OpenID Connect Core section 2, `acr`): with a password,
 * over TLS. ID tokens say it where the client asked.
 */
export const PASSWORD_ACR = 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport'
