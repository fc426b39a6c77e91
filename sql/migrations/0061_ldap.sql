-- Accounts whose password is checked by a directory (LDAP). Its own id of the entry counts, so that somebody who is renamed
-- there keeps the account.
create table latchkey.directory_links (
  user_id uuid primary key references latchkey.users on delete cascade,
  entry_id text not null unique,
  -- Where the entry was at the last sign-in.
  dn text not null,
  created_at timestamptz not null,
  last_used_at timestamptz not null
);
