-- Personal access tokens: sessions that a person, or an administrator on behalf of one, makes for scripts and bots.
create table latchkey.personal_sessions (
  id uuid primary key,
  -- Who made it: a person or a client (of the admin API). A locked or deactivated owner switches it off.
  owner_user_id uuid references latchkey.users on delete cascade,
  owner_client_id uuid references latchkey.clients on delete cascade,
  -- Whom its token acts as.
  user_id uuid not null references latchkey.users on delete cascade,
  human_name text not null,
  scope text[] not null,
  device_id text,
  created_at timestamptz not null,
  finished_at timestamptz,
  user_agent text,
  last_active_at timestamptz,
  last_active_ip inet,
  constraint personal_sessions_one_owner check (num_nonnulls(owner_user_id, owner_client_id) = 1)
);
create index personal_sessions_user on latchkey.personal_sessions (user_id) where finished_at is null;
create index personal_sessions_owner_user on latchkey.personal_sessions (owner_user_id) where finished_at is null;
create index personal_sessions_owner_client on latchkey.personal_sessions (owner_client_id);

create table latchkey.personal_tokens (
  id uuid primary key,
  session_id uuid not null references latchkey.personal_sessions on delete cascade,
  token_hash bytea not null unique,
  created_at timestamptz not null,
  -- Null: never.
  expires_at timestamptz,
  revoked_at timestamptz
);
-- A session has one token; a new one replaces it.
create unique index personal_tokens_session on latchkey.personal_tokens (session_id) where revoked_at is null;
