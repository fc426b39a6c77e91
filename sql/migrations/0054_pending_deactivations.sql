-- Deactivations that a person asked for and that can still be taken back. Meanwhile the account is locked.
create table latchkey.pending_deactivations (
  user_id uuid primary key references latchkey.users (id) on delete cascade,
  -- SHA-256 of what the link in the mail holds.
  digest bytea not null unique,
  erase boolean not null,
  requested_at timestamptz not null,
  due_at timestamptz not null,
  -- An administrator locked the account too: it stays locked when the deactivation is taken back.
  keep_locked boolean not null
);
create index pending_deactivations_due on latchkey.pending_deactivations (due_at);
