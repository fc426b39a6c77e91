-- What admins did through the API, and to what. No foreign keys: the entries outlive what they are about.
create table latchkey.audit_log (
  id uuid primary key,
  action text not null,
  actor_user_id uuid,
  actor_client_id uuid,
  target_type text,
  target_id uuid,
  ip inet
);
create index audit_log_target on latchkey.audit_log (target_id) where target_id is not null;
create index audit_log_actor on latchkey.audit_log (actor_user_id) where actor_user_id is not null;
