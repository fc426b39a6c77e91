-- When an account was brought back, until the homeserver has been told.
alter table latchkey.users add column reactivated_at timestamptz;
-- When the person left with the wish that the homeserver hides what they wrote.
alter table latchkey.users add column erased_at timestamptz;
