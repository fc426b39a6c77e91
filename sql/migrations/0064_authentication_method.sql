-- How the person of a browser session last proved who they are; unknown for sessions that began before this was noted.
alter table latchkey.browser_sessions add column authentication_method text;
-- The client takes no answer for a sign-in of another class than the one that it named (OpenID Connect Core 5.5.1.1).
alter table latchkey.authorization_grants add column acr_required boolean not null default false;
