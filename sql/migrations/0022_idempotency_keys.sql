-- Creations of the admin API that were asked for under a key: asked again they answer what they answered first. Answers
-- may hold a token, so they are sealed. Unlogged would lose them in a crash, and a script would create twice.
create table latchkey.idempotency_keys (
  -- Of the caller's session and the key.
  key_hash bytea primary key,
  -- Of the operation and the body.
  request_hash bytea not null,
  created_at timestamptz not null,
  -- Null while the first request runs.
  status integer,
  sealed_answer text
);
create index idempotency_keys_created on latchkey.idempotency_keys (created_at);
