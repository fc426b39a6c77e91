-- Where somebody goes who is away to be signed out at a provider, because an app asked for that: the app's own address,
-- which the provider does not know.
create table latchkey.logout_returns (
  state_hash bytea primary key,
  browser_hash bytea not null,
  target text not null,
  created_at timestamptz not null
);
create index logout_returns_age on latchkey.logout_returns (created_at);
