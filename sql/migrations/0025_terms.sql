-- Terms have versions: the same address may say something new, and is then accepted anew.
alter table latchkey.user_terms
  add column version text not null default '',
  drop constraint user_terms_pkey,
  add primary key (user_id, terms_uri, version);
alter table latchkey.registrations add column terms_version text not null default '';

-- The sign-up that a browser began is offered to it again.
create index registrations_browser on latchkey.registrations (browser_hash) where completed_at is null;
