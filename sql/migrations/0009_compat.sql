-- The login API of Matrix clients that know no OAuth. Sessions and tokens are tables of their own: these have no client
-- and no scope, may have no device, and their access tokens may live for ever.

create table latchkey.compat_sessions (
  id uuid primary key,
  user_id uuid not null references latchkey.users on delete cascade,
  -- Null only for what an import brings: every login names a device or gets one.
  device_id text,
  human_name text,
  -- The browser that approved it, for a login by SSO.
  browser_session_id uuid references latchkey.browser_sessions on delete set null,
  -- Whether its tokens administer the homeserver. Only an import and an administrator's command set it.
  synapse_admin boolean not null default false,
  created_at timestamptz not null,
  finished_at timestamptz,
  user_agent text,
  last_active_at timestamptz,
  last_active_ip inet
);
create index compat_sessions_user on latchkey.compat_sessions (user_id) where finished_at is null;
create index compat_sessions_browser on latchkey.compat_sessions (browser_session_id);

-- Shaped as latchkey.tokens is, but for expires_at, which may be null: such a token never expires.
create table latchkey.compat_tokens (
  session_id uuid not null references latchkey.compat_sessions on delete cascade,
  id uuid not null,
  access_hash bytea unique,
  refresh_hash bytea unique,
  expires_at timestamptz,
  first_used_at timestamptz,
  consumed_at timestamptz,
  next_id uuid,
  primary key (session_id, id)
) with (fillfactor = 90);

-- Logins by SSO, from the redirect to the exchange of the login token.
create table latchkey.compat_logins (
  id uuid primary key,
  redirect_uri text not null,
  created_at timestamptz not null,
  -- The answer of the person, and the browser session that gave it.
  fulfilled_at timestamptz,
  cancelled_at timestamptz,
  browser_session_id uuid references latchkey.browser_sessions on delete set null,
  -- Made at the approval: there is no token before it.
  token_hash bytea unique,
  exchanged_at timestamptz,
  session_id uuid references latchkey.compat_sessions on delete set null,
  constraint compat_logins_one_answer check (fulfilled_at is null or cancelled_at is null)
);
create index compat_logins_browser on latchkey.compat_logins (browser_session_id);
create index compat_logins_session on latchkey.compat_logins (session_id);
create index compat_logins_created on latchkey.compat_logins (created_at);
