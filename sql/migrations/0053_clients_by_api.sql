-- Clients that an admin made by the admin API: the operator's own as those of the configuration, but no configuration
-- names them, and none removes them.
alter table latchkey.clients add column by_api boolean not null default false;
