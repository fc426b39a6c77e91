-- JWTs that may be used once: client assertions (RFC 7523 section 3, jti), DPoP proofs, logout tokens. Rows are useless
-- after their expiry.
create table latchkey.used_jwts (
  -- SHA-256 of what makes the JWT unique: its kind, its issuer, its jti.
  digest bytea primary key,
  expires_at timestamptz not null
);
create index used_jwts_expiry on latchkey.used_jwts (expires_at);
