-- Addresses that a provider says at a sign-in and does not vouch for: the person is asked once to prove them.
alter table latchkey.email_verifications add column from_provider boolean not null default false;
alter table latchkey.upstream_links add column asked_email_hash bytea;
