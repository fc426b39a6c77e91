-- What a person set for pages and mails: a language tag and an IANA time zone. Null: as the browser says, and UTC.
alter table latchkey.users
  add column locale text,
  add column time_zone text;
