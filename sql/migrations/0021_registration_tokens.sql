-- Invitations: who has one may sign up. Looked up by digest; the text itself, which admins see, is sealed.
create table latchkey.registration_tokens (
  id uuid primary key,
  token_hash bytea not null unique,
  sealed_token text not null,
  -- Null for any number of times.
  usage_limit integer check (usage_limit > 0),
  times_used integer not null default 0,
  created_at timestamptz not null,
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz
);
