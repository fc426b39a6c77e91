-- no transaction
-- The index over parts of names (0052) knows parts of three letters and more: one or two are looked for at the beginning
-- of names, and whole names as before, in one index that does so under every collation of the cluster.
create index concurrently if not exists users_name_beginning on latchkey.users (username_folded text_pattern_ops);
drop index concurrently if exists latchkey.users_username_folded_all;
