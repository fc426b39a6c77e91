-- Addresses that are confirmed with a code, lost passwords, and browsers that an account knows.

alter table latchkey.user_emails
  -- Where mail about the account goes; without one it goes to the oldest.
  add column is_primary boolean not null default false;
create unique index user_emails_primary on latchkey.user_emails (user_id) where is_primary;

-- An address that somebody says is theirs, for a sign-up or for an account, until a code from a mail proves it.
create table latchkey.email_verifications (
  id uuid primary key,
  registration_id uuid unique references latchkey.registrations (id) on delete cascade,
  user_id uuid references latchkey.users (id) on delete cascade,
  email text not null,
  -- HMAC of the newest code. Nobody has the code of an address that is not to be proven.
  code_hash bytea not null,
  code_expires_at timestamptz not null,
  created_at timestamptz not null,
  completed_at timestamptz,
  constraint email_verifications_one_owner check ((registration_id is null) <> (user_id is null))
);
create index email_verifications_user on latchkey.email_verifications (user_id);

-- Somebody typed an address to get back into an account. Kept for unknown addresses too: both look the same.
create table latchkey.recoveries (
  id uuid primary key,
  browser_hash bytea not null,
  email text not null,
  continuation text not null,
  requested_at timestamptz not null,
  ip inet,
  user_agent text,
  accept_language text
);

-- Links with which a password can be set: one account, once.
create table latchkey.recovery_tickets (
  digest bytea primary key,
  user_id uuid not null references latchkey.users (id) on delete cascade,
  -- None: an administrator made the link.
  recovery_id uuid references latchkey.recoveries (id) on delete cascade,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz
);
create index recovery_tickets_user on latchkey.recovery_tickets (user_id);
create index recovery_tickets_recovery on latchkey.recovery_tickets (recovery_id);

-- Browsers that somebody signed in with: a digest of a cookie, for each account of it another one.
create table latchkey.known_browsers (
  user_id uuid not null references latchkey.users (id) on delete cascade,
  browser_hash bytea not null,
  last_used_at timestamptz not null,
  primary key (user_id, browser_hash)
);
