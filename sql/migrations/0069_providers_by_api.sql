-- Providers that an admin made by the admin API: no configuration names them, and none removes them. What a
-- configuration would say of one is in the row: its settings, and its secrets sealed. A change gives another revision.
alter table latchkey.upstream_providers
  add column by_api boolean not null default false,
  add column settings jsonb,
  add column sealed_secrets text,
  add column revision uuid;
