-- Accounts that wait until an admin approves them. They are locked all the while, so that whatever respects a lock keeps
-- them out; only the page of the sign-in tells the two apart.
alter table latchkey.users
  add column approval_requested_at timestamptz,
  -- The language of the sign-up: that of the mail which says how it was decided.
  add column sign_up_lang text,
  add constraint users_waiting_is_locked check (approval_requested_at is null or locked_at is not null);
create index users_waiting on latchkey.users (id) where approval_requested_at is not null;

-- A finished sign-up whose account waited in the end: its last page says what became of it.
alter table latchkey.registrations add column needs_approval boolean not null default false;
