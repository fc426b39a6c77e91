-- The invitation of a sign-up, and its name as others compare it: nobody else gets that while the sign-up lives.
alter table latchkey.registrations
  add column registration_token_id uuid references latchkey.registration_tokens on delete set null,
  add column username_folded text;
create index registrations_token on latchkey.registrations (registration_token_id)
  where registration_token_id is not null;
create index registrations_username on latchkey.registrations (username_folded, created_at)
  where completed_at is null;
