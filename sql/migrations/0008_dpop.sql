-- DPoP (RFC 9449): the thumbprint (RFC 7638, SHA-256, base64url) of the key that something is bound to; null for the rest.
-- Of a pair of tokens: its access token is bound unless it is for the homeserver, which takes Bearer alone, and its
-- refresh token unless its client authenticates in another way (decision 12).
alter table latchkey.tokens add column dpop_jkt text;
-- Of an authorization request: whoever exchanges its code must prove this key (section 10).
alter table latchkey.authorization_grants add column dpop_jkt text;
