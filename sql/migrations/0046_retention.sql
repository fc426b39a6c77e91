-- What is removed after its time (retention in the configuration) is found without reading whole tables. Plain columns of
-- ended rows only: what changes with every use of a session stays in no index.
create index oauth_sessions_finished on latchkey.oauth_sessions (finished_at) where finished_at is not null;
create index compat_sessions_finished on latchkey.compat_sessions (finished_at) where finished_at is not null;
create index browser_sessions_finished on latchkey.browser_sessions (finished_at) where finished_at is not null;
create index personal_sessions_finished on latchkey.personal_sessions (finished_at) where finished_at is not null;

-- A row that goes takes others with it or is forgotten by them; without an index each one would read the whole table.
create index authorization_grants_browser on latchkey.authorization_grants (browser_session_id)
  where browser_session_id is not null;
create index device_grants_browser on latchkey.device_grants (browser_session_id)
  where browser_session_id is not null;
create index personal_tokens_every_session on latchkey.personal_tokens (session_id);
