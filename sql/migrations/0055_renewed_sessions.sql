-- The cookie that a session had before its person signed in anew: a form that was sent twice still comes with it.
alter table latchkey.browser_sessions add column previous_hash bytea;
create index browser_sessions_previous on latchkey.browser_sessions (previous_hash) where previous_hash is not null;
