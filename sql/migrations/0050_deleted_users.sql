-- An account that was deleted for good leaves its id and its name, which nobody may have again (decision 28): another
-- person would be taken for the first one. Such a row is deactivated too, so that nothing brings it back.
alter table latchkey.users add column deleted_at timestamptz;
alter table latchkey.users add constraint users_deleted check (deleted_at is null or deactivated_at is not null);
