-- What an authorization request asks of the sign-in (OpenID Connect Core section 3.1.2.1).
alter table latchkey.authorization_grants
  -- The values of `prompt` that matter after the first page: consent, select_account.
  add column prompt text[] not null default '{}',
  -- The person must have signed in at this instant or later (prompt=login, max_age), and once more if the browser came
  -- with this session, which is older.
  add column authenticated_after timestamptz,
  add column stale_session_id uuid,
  -- Who must answer: the subject of id_token_hint, or of the `sub` in `claims`.
  add column expected_user_id uuid,
  -- The ID token says how the person signed in (`acr`).
  add column acr_requested boolean not null default false;

-- The scopes of a session that give claims about its person and that the person saw on the consent page (decision 16).
-- Sessions from before have none, whatever their scope says.
alter table latchkey.oauth_sessions add column claim_scopes text[] not null default '{}';

-- Authorization requests that clients pushed (RFC 9126). A row is deleted by its one use; expired ones by later pushes.
create table latchkey.pushed_requests (
  -- SHA-256 of the request_uri.
  digest bytea primary key,
  client_id uuid not null references latchkey.clients on delete cascade,
  parameters jsonb not null,
  -- The parameters came from a request object whose signature held.
  signed boolean not null,
  expires_at timestamptz not null
);
create index pushed_requests_expiry on latchkey.pushed_requests (expires_at);
create index pushed_requests_client on latchkey.pushed_requests (client_id);
