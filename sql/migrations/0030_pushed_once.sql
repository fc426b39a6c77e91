-- The pushed request (RFC 9126) that an authorization request came from. It is used up by the answer, not by the page: a
-- person may load that again, and software that looks at links ahead of people opens them too.
alter table latchkey.authorization_grants add column pushed_digest bytea;
