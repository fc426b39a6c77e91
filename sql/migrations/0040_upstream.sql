-- Sign-in through other providers. What a provider is stands in the configuration; its row is what links belong to.

create table latchkey.upstream_providers (
  id uuid primary key,
  issuer text,
  human_name text,
  brand_name text,
  registration_token_required boolean not null default false,
  created_at timestamptz not null,
  -- It left the configuration, or is switched off there. Its links stay for when it comes back.
  disabled_at timestamptz
);

-- A person as a provider knows them; without a user until somebody signs up with it, or links it to an account.
create table latchkey.upstream_links (
  id uuid primary key,
  provider_id uuid not null references latchkey.upstream_providers on delete cascade,
  subject text not null,
  user_id uuid references latchkey.users on delete cascade,
  human_account_name text,
  created_at timestamptz not null,
  last_used_at timestamptz,
  unique (provider_id, subject)
);
create index upstream_links_user on latchkey.upstream_links (user_id) where user_id is not null;
create index upstream_links_unowned on latchkey.upstream_links (id) where user_id is null;

-- One way to a provider and back, of one browser.
create table latchkey.upstream_sessions (
  id uuid primary key,
  provider_id uuid not null references latchkey.upstream_providers on delete cascade,
  browser_hash bytea not null,
  state_hash bytea not null unique,
  -- Nonce and code verifier, sealed.
  sealed_secrets text not null,
  continuation text not null default '',
  created_at timestamptz not null,
  -- The answer came. Its code is exchanged once, whatever becomes of it.
  claimed_at timestamptz,
  -- Who it was.
  link_id uuid references latchkey.upstream_links on delete set null,
  -- What the provider said, until it was used.
  answer jsonb,
  -- For a logout at the provider: which of its sessions this is, and the proof of it.
  subject text,
  sid text,
  sealed_id_token text,
  completed_at timestamptz,
  -- It signed somebody in, up, or linked.
  consumed_at timestamptz,
  browser_session_id uuid references latchkey.browser_sessions on delete set null
);
create index upstream_sessions_link on latchkey.upstream_sessions (link_id);
create index upstream_sessions_browser_session on latchkey.upstream_sessions (browser_session_id);
create index upstream_sessions_subject on latchkey.upstream_sessions (provider_id, subject);
create index upstream_sessions_sid on latchkey.upstream_sessions (provider_id, sid);

-- The way to a provider that a sign-up came by, in place of a password. No foreign key: what a provider said goes sooner
-- than a finished sign-up, and an unfinished one looks whether it is still there.
alter table latchkey.registrations add column upstream_session_id uuid;
