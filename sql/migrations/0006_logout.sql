-- Management of registrations (RFC 7592), and cleaning up those that nobody used (decision 13).
alter table latchkey.clients
  -- SHA-256 of the registration access token; clients that share their row with others have none.
  add column registration_token_hash bytea,
  -- The last identical registration that was answered with this row: an app may have kept its id since.
  add column last_registered_at timestamptz,
  -- Set once: a client that completed a grant is never cleaned up, however long ago its sessions went.
  add column first_granted_at timestamptz;
update latchkey.clients c set first_granted_at = s.first
from (select client_id, min(created_at) as first from latchkey.oauth_sessions group by client_id) s
where s.client_id = c.id;

-- A client that is deleted takes these with it; without an index each one would read the whole table.
create index authorization_grants_client on latchkey.authorization_grants (client_id);
create index consents_client on latchkey.consents (client_id);
