-- What happened to an account that its owner should be able to see, and mail that waits to be sent.
create table latchkey.security_events (
  id uuid primary key,
  user_id uuid not null references latchkey.users (id) on delete cascade,
  kind text not null,
  at timestamptz not null,
  actor text not null constraint security_events_actor check (actor in ('self', 'admin', 'system')),
  ip inet,
  user_agent text,
  -- Names of what it was about (an address, an app); never a secret.
  details jsonb not null default '{}'
);
create index security_events_user on latchkey.security_events (user_id, id desc);

-- One row is one mail to one address. It goes when the mail server has taken it.
create table latchkey.mails (
  id uuid primary key,
  kind text not null,
  -- Recipient and contents, which may hold a code or a link: nobody reads them from a copy of the database.
  sealed_content text not null,
  created_at timestamptz not null,
  -- After this the mail is of no use: its code or link has run out.
  expires_at timestamptz,
  attempts integer not null default 0,
  attempted_at timestamptz,
  -- Why the last attempt failed, as the mail server said it.
  failure text,
  -- Set: nobody tries any more, until an operator says so.
  given_up_at timestamptz
);
