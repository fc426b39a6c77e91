-- Part of a name among a million. Any owner of a database may add this extension (trusted since PostgreSQL 13), but some
-- installations come without it: then a search reads all names, and finds the same.
do $$
begin
  create extension if not exists pg_trgm with schema latchkey;
exception when others then
  raise notice 'pg_trgm is not available (%): searching for part of a username reads all of them', sqlerrm;
end
$$;

do $$
declare
  place text;
begin
  select n.nspname into place from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm';
  if place is not null then
    execute format('create index users_name_parts on latchkey.users using gin (username_folded %I.gin_trgm_ops)', place);
  end if;
end
$$;
