-- no transaction
-- What the lists of the admin API look for among a million people. All that a person, a client or a browser began, in
-- the order of the lists, also what ended: these take the place of indexes of active sessions alone.
create index concurrently if not exists browser_sessions_of_user on latchkey.browser_sessions (user_id, id);
drop index concurrently if exists latchkey.browser_sessions_user;
create index concurrently if not exists compat_sessions_of_user on latchkey.compat_sessions (user_id, id);
drop index concurrently if exists latchkey.compat_sessions_user;
create index concurrently if not exists oauth_sessions_of_user on latchkey.oauth_sessions (user_id, id);
drop index concurrently if exists latchkey.oauth_sessions_user;
create index concurrently if not exists oauth_sessions_of_client on latchkey.oauth_sessions (client_id, id);
drop index concurrently if exists latchkey.oauth_sessions_client;
create index concurrently if not exists personal_sessions_of_user on latchkey.personal_sessions (user_id, id);
drop index concurrently if exists latchkey.personal_sessions_user;
create index concurrently if not exists personal_sessions_of_owner on latchkey.personal_sessions (owner_user_id, id);
drop index concurrently if exists latchkey.personal_sessions_owner_user;
create index concurrently if not exists browser_sessions_created on latchkey.browser_sessions (created_at);
create index concurrently if not exists compat_sessions_created on latchkey.compat_sessions (created_at);
create index concurrently if not exists oauth_sessions_created on latchkey.oauth_sessions (created_at);
-- What was active last, and what was not for long, which is also what ends by itself.
create index concurrently if not exists browser_sessions_activity
  on latchkey.browser_sessions (coalesce(last_active_at, created_at), id);
create index concurrently if not exists compat_sessions_activity
  on latchkey.compat_sessions (coalesce(last_active_at, created_at), id);
create index concurrently if not exists oauth_sessions_activity
  on latchkey.oauth_sessions (coalesce(last_active_at, created_at), id);
-- Who has a device, and who holds a right of admins.
create index concurrently if not exists oauth_sessions_device on latchkey.oauth_sessions (device_id)
  where device_id is not null;
create index concurrently if not exists oauth_sessions_admin on latchkey.oauth_sessions (id)
  where scope && array['urn:mas:admin', 'urn:synapse:admin:*'];
-- The few among the many.
create index concurrently if not exists users_admins on latchkey.users (id) where is_admin;
create index concurrently if not exists users_guests on latchkey.users (id) where is_guest;
create index concurrently if not exists users_locked on latchkey.users (id) where locked_at is not null;
create index concurrently if not exists users_deactivated on latchkey.users (id) where deactivated_at is not null;
-- The unique index leaves imported duplicates out, so that no search by address could use it: every sign-in with one
-- read the whole table.
create index concurrently if not exists user_emails_folded on latchkey.user_emails (email_folded);
create index concurrently if not exists audit_log_action on latchkey.audit_log (action, id);
create index concurrently if not exists security_events_kind on latchkey.security_events (kind, id);
