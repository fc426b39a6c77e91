-- What a person calls a browser of theirs.
alter table latchkey.browser_sessions add column human_name text;
