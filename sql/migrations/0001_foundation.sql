-- Ids are ULIDs in a uuid column: byte order is time order. Times come from the application's clock, never from
-- now(), so that tests can move them. Secrets are SHA-256 digests or sealed; nothing here opens an account.

create table latchkey.users (
  id uuid primary key,
  username text not null,
  -- Folded in code: lower() depends on the locale of the cluster.
  username_folded text not null,
  -- Imported databases may hold names that differ in case only; those follow an exact match.
  imported_duplicate boolean not null default false,
  display_name text,
  is_admin boolean not null default false,
  is_guest boolean not null default false,
  created_at timestamptz not null,
  locked_at timestamptz,
  deactivated_at timestamptz,
  -- When the homeserver first confirmed that it knows this person; no code is given out before.
  provisioned_at timestamptz
);
create unique index users_username_folded on latchkey.users (username_folded) where not imported_duplicate;
create index users_username_folded_all on latchkey.users (username_folded);

create table latchkey.user_emails (
  id uuid primary key,
  user_id uuid not null references latchkey.users on delete cascade,
  email text not null,
  email_folded text not null,
  imported_duplicate boolean not null default false,
  created_at timestamptz not null
);
create unique index user_emails_email_folded on latchkey.user_emails (email_folded) where not imported_duplicate;
create index user_emails_user on latchkey.user_emails (user_id);

create table latchkey.user_passwords (
  id uuid primary key,
  user_id uuid not null references latchkey.users on delete cascade,
  version integer not null,
  hash text not null,
  created_at timestamptz not null
);
create index user_passwords_user on latchkey.user_passwords (user_id, created_at desc);

create table latchkey.user_terms (
  user_id uuid not null references latchkey.users on delete cascade,
  terms_uri text not null,
  accepted_at timestamptz not null,
  primary key (user_id, terms_uri)
);

-- The lock that serialises calls to the homeserver about one person's devices (decision 9). A row and not an
-- advisory lock, so that it works behind a pooler and no transaction spans an HTTP call.
create table latchkey.user_leases (
  user_id uuid primary key references latchkey.users on delete cascade,
  generation bigint not null,
  expires_at timestamptz not null
);

create table latchkey.browser_sessions (
  id uuid primary key,
  user_id uuid not null references latchkey.users on delete cascade,
  secret_hash bytea not null unique,
  created_at timestamptz not null,
  authenticated_at timestamptz not null,
  finished_at timestamptz,
  user_agent text,
  last_active_at timestamptz,
  last_active_ip inet
);
create index browser_sessions_user on latchkey.browser_sessions (user_id) where finished_at is null;

create table latchkey.registrations (
  id uuid primary key,
  -- SHA-256 of the cookie of the browser that began it: no other browser may go on with it.
  browser_hash bytea not null,
  username text not null,
  password_version integer,
  password_hash text,
  display_name text,
  terms_uri text,
  continuation text not null default '',
  ip inet,
  user_agent text,
  created_at timestamptz not null,
  completed_at timestamptz
);

create table latchkey.clients (
  id uuid primary key,
  is_static boolean not null default false,
  -- SHA-256 of the canonical registration (reference section 7.2, step 8): identical registrations share a row.
  metadata_digest text unique,
  auth_method text not null,
  sealed_secret text,
  redirect_uris text[] not null default '{}',
  grant_types text[] not null default '{}',
  -- Everything the client registered, localised members included.
  metadata jsonb not null default '{}',
  created_at timestamptz not null
);

create table latchkey.authorization_grants (
  id uuid primary key,
  client_id uuid not null references latchkey.clients on delete cascade,
  browser_hash bytea not null,
  redirect_uri text not null,
  response_mode text not null,
  scope text[] not null,
  state text,
  nonce text,
  code_challenge text,
  login_hint text,
  locale text,
  raw_parameters jsonb not null default '{}',
  created_at timestamptz not null,
  -- Set when the person consents.
  code_hash bytea unique,
  browser_session_id uuid references latchkey.browser_sessions on delete set null,
  fulfilled_at timestamptz,
  cancelled_at timestamptz,
  -- An exchange holds the code while it talks to the homeserver; a failed one frees it (decision 9).
  claimed_until timestamptz,
  exchanged_at timestamptz,
  oauth_session_id uuid
);

create table latchkey.consents (
  user_id uuid not null references latchkey.users on delete cascade,
  client_id uuid not null references latchkey.clients on delete cascade,
  -- The scopes without the device scope, sorted, space-separated (decision 10).
  scope text not null,
  created_at timestamptz not null,
  primary key (user_id, client_id, scope)
);

create table latchkey.oauth_sessions (
  id uuid primary key,
  client_id uuid not null references latchkey.clients on delete cascade,
  user_id uuid references latchkey.users on delete cascade,
  browser_session_id uuid references latchkey.browser_sessions on delete set null,
  scope text[] not null,
  -- The Matrix device in the scope, if any.
  device_id text,
  human_name text,
  created_at timestamptz not null,
  finished_at timestamptz,
  user_agent text,
  last_active_at timestamptz,
  last_active_ip inet
);
create index oauth_sessions_user on latchkey.oauth_sessions (user_id) where finished_at is null;
create index oauth_sessions_client on latchkey.oauth_sessions (client_id);
create index oauth_sessions_browser on latchkey.oauth_sessions (browser_session_id);

-- An access token and the refresh token that came with it; either may be missing. A refresh is one update of the old
-- pair, which ends both of its tokens, and one insert: a third of its cost is this table, so there is no more of it than
-- needed. What is updated stands in no index and pages keep some room, so that an update stays on its page and touches
-- no index (a HOT update). The primary key is also the index by session. When a pair was made is in its id.
create table latchkey.tokens (
  session_id uuid not null references latchkey.oauth_sessions on delete cascade,
  id uuid not null,
  access_hash bytea unique,
  refresh_hash bytea unique,
  -- Of the access token, null where there is none: a refresh token has no end. No check constraint says so: it would be
  -- parsed anew by every statement that writes here.
  expires_at timestamptz,
  -- The first introspection, userinfo or admin call with the access token: it freezes the rotation (decision 7).
  first_used_at timestamptz,
  -- When the refresh token was replaced, and by which pair of the session.
  consumed_at timestamptz,
  next_id uuid,
  primary key (session_id, id)
) with (fillfactor = 90);

-- One row a limited key: the theoretical arrival time of GCRA. A crash may lose them, which forgives everyone.
create unlogged table latchkey.rate_limits (
  key text primary key,
  arrival_at timestamptz not null
);
