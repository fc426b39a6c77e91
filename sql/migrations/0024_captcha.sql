-- Answers to the check against robots that made a sign-up: each works once, whichever process sees it. What is lost here
-- lets somebody use one twice, no more.
create unlogged table latchkey.captcha_uses (
  digest bytea primary key,
  expires_at timestamptz not null
);
create index captcha_uses_expires on latchkey.captcha_uses (expires_at);

-- Sign-ups that an invitation spared that check need one to the end, wherever invitations are optional.
alter table latchkey.registrations add column invited boolean not null default false;
