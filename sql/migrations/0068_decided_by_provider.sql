-- What a provider decided about a sign-up (`force`, `require`): steps in between leave it as it is.
alter table latchkey.registrations
  add column username_decided boolean not null default false,
  add column display_name_decided boolean not null default false,
  add column email_decided boolean not null default false;
