-- What a deployment remembers about itself between starts: one row a fact.

create table latchkey.settings (
  key text primary key,
  value jsonb not null
);
