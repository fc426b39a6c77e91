-- Device authorization (RFC 8628).
create table latchkey.device_grants (
  id uuid primary key,
  client_id uuid not null references latchkey.clients on delete cascade,
  scope text[] not null,
  device_code_hash bytea not null unique,
  -- Eight characters of an unambiguous alphabet, under an HMAC, and sealed for the page that shows them once more: a
  -- reader of the database can neither approve the request nor guess the code.
  user_code_hash bytea not null unique,
  sealed_user_code text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  -- Polling: seconds that the client must leave between two requests; grows by slow_down.
  interval_seconds integer not null,
  polled_at timestamptz,
  -- Who asked, shown to the person who decides.
  ip inet,
  user_agent text,
  locale text,
  -- The browser that the code was typed into last: nobody can be sent a link to a request that waits for an answer.
  browser_hash bytea,
  fulfilled_at timestamptz,
  rejected_at timestamptz,
  browser_session_id uuid references latchkey.browser_sessions on delete set null,
  claimed_until timestamptz,
  exchanged_at timestamptz,
  oauth_session_id uuid,
  constraint device_grants_one_answer check (fulfilled_at is null or rejected_at is null)
);
create index device_grants_client on latchkey.device_grants (client_id);
