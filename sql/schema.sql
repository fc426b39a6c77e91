-- Generated from the migrated database by test/sql/schema.test.ts (UPDATE=1 bun test test/sql). Do not edit.

create table latchkey.audit_log (
  id uuid not null,
  action text not null,
  actor_user_id uuid,
  actor_client_id uuid,
  target_type text,
  target_id uuid,
  ip inet,
  constraint audit_log_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_log_action ON latchkey.audit_log USING btree (action, id);
CREATE INDEX audit_log_actor ON latchkey.audit_log USING btree (actor_user_id) WHERE (actor_user_id IS NOT NULL);
CREATE INDEX audit_log_target ON latchkey.audit_log USING btree (target_id) WHERE (target_id IS NOT NULL);

create table latchkey.authorization_grants (
  id uuid not null,
  client_id uuid not null,
  browser_hash bytea not null,
  redirect_uri text not null,
  response_mode text not null,
  scope text[] not null,
  state text,
  nonce text,
  code_challenge text,
  login_hint text,
  locale text,
  raw_parameters jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null,
  code_hash bytea,
  browser_session_id uuid,
  fulfilled_at timestamp with time zone,
  cancelled_at timestamp with time zone,
  claimed_until timestamp with time zone,
  exchanged_at timestamp with time zone,
  oauth_session_id uuid,
  prompt text[] not null default '{}'::text[],
  authenticated_after timestamp with time zone,
  stale_session_id uuid,
  expected_user_id uuid,
  acr_requested boolean not null default false,
  dpop_jkt text,
  pushed_digest bytea,
  response_type text not null default 'code'::text,
  acr_required boolean not null default false,
  constraint authorization_grants_pkey PRIMARY KEY (id),
  constraint authorization_grants_code_hash_key UNIQUE (code_hash),
  constraint authorization_grants_browser_session_id_fkey FOREIGN KEY (browser_session_id) REFERENCES latchkey.browser_sessions(id) ON DELETE SET NULL,
  constraint authorization_grants_client_id_fkey FOREIGN KEY (client_id) REFERENCES latchkey.clients(id) ON DELETE CASCADE
);
CREATE INDEX authorization_grants_browser ON latchkey.authorization_grants USING btree (browser_session_id) WHERE (browser_session_id IS NOT NULL);
CREATE INDEX authorization_grants_client ON latchkey.authorization_grants USING btree (client_id);

create table latchkey.browser_sessions (
  id uuid not null,
  user_id uuid not null,
  secret_hash bytea not null,
  created_at timestamp with time zone not null,
  authenticated_at timestamp with time zone not null,
  finished_at timestamp with time zone,
  user_agent text,
  last_active_at timestamp with time zone,
  last_active_ip inet,
  previous_hash bytea,
  authentication_method text,
  human_name text,
  constraint browser_sessions_pkey PRIMARY KEY (id),
  constraint browser_sessions_secret_hash_key UNIQUE (secret_hash),
  constraint browser_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE INDEX browser_sessions_activity ON latchkey.browser_sessions USING btree (COALESCE(last_active_at, created_at), id);
CREATE INDEX browser_sessions_created ON latchkey.browser_sessions USING btree (created_at);
CREATE INDEX browser_sessions_finished ON latchkey.browser_sessions USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX browser_sessions_of_user ON latchkey.browser_sessions USING btree (user_id, id);
CREATE INDEX browser_sessions_previous ON latchkey.browser_sessions USING btree (previous_hash) WHERE (previous_hash IS NOT NULL);

create unlogged table latchkey.captcha_uses (
  digest bytea not null,
  expires_at timestamp with time zone not null,
  constraint captcha_uses_pkey PRIMARY KEY (digest)
);
CREATE INDEX captcha_uses_expires ON latchkey.captcha_uses USING btree (expires_at);

create table latchkey.clients (
  id uuid not null,
  is_static boolean not null default false,
  metadata_digest text,
  auth_method text not null,
  sealed_secret text,
  redirect_uris text[] not null default '{}'::text[],
  grant_types text[] not null default '{}'::text[],
  metadata jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null,
  registration_token_hash bytea,
  last_registered_at timestamp with time zone,
  first_granted_at timestamp with time zone,
  by_api boolean not null default false,
  constraint clients_pkey PRIMARY KEY (id),
  constraint clients_metadata_digest_key UNIQUE (metadata_digest)
);

create table latchkey.compat_logins (
  id uuid not null,
  redirect_uri text not null,
  created_at timestamp with time zone not null,
  fulfilled_at timestamp with time zone,
  cancelled_at timestamp with time zone,
  browser_session_id uuid,
  token_hash bytea,
  exchanged_at timestamp with time zone,
  session_id uuid,
  constraint compat_logins_pkey PRIMARY KEY (id),
  constraint compat_logins_token_hash_key UNIQUE (token_hash),
  constraint compat_logins_browser_session_id_fkey FOREIGN KEY (browser_session_id) REFERENCES latchkey.browser_sessions(id) ON DELETE SET NULL,
  constraint compat_logins_session_id_fkey FOREIGN KEY (session_id) REFERENCES latchkey.compat_sessions(id) ON DELETE SET NULL,
  constraint compat_logins_one_answer CHECK (((fulfilled_at IS NULL) OR (cancelled_at IS NULL)))
);
CREATE INDEX compat_logins_browser ON latchkey.compat_logins USING btree (browser_session_id);
CREATE INDEX compat_logins_created ON latchkey.compat_logins USING btree (created_at);
CREATE INDEX compat_logins_session ON latchkey.compat_logins USING btree (session_id);

create table latchkey.compat_sessions (
  id uuid not null,
  user_id uuid not null,
  device_id text,
  human_name text,
  browser_session_id uuid,
  synapse_admin boolean not null default false,
  created_at timestamp with time zone not null,
  finished_at timestamp with time zone,
  user_agent text,
  last_active_at timestamp with time zone,
  last_active_ip inet,
  constraint compat_sessions_pkey PRIMARY KEY (id),
  constraint compat_sessions_browser_session_id_fkey FOREIGN KEY (browser_session_id) REFERENCES latchkey.browser_sessions(id) ON DELETE SET NULL,
  constraint compat_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE INDEX compat_sessions_activity ON latchkey.compat_sessions USING btree (COALESCE(last_active_at, created_at), id);
CREATE INDEX compat_sessions_browser ON latchkey.compat_sessions USING btree (browser_session_id);
CREATE INDEX compat_sessions_created ON latchkey.compat_sessions USING btree (created_at);
CREATE INDEX compat_sessions_finished ON latchkey.compat_sessions USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX compat_sessions_of_user ON latchkey.compat_sessions USING btree (user_id, id);

create table latchkey.compat_tokens (
  session_id uuid not null,
  id uuid not null,
  access_hash bytea,
  refresh_hash bytea,
  expires_at timestamp with time zone,
  first_used_at timestamp with time zone,
  consumed_at timestamp with time zone,
  next_id uuid,
  constraint compat_tokens_pkey PRIMARY KEY (session_id, id),
  constraint compat_tokens_access_hash_key UNIQUE (access_hash),
  constraint compat_tokens_refresh_hash_key UNIQUE (refresh_hash),
  constraint compat_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES latchkey.compat_sessions(id) ON DELETE CASCADE
) with (fillfactor=90);

create table latchkey.consents (
  user_id uuid not null,
  client_id uuid not null,
  scope text not null,
  created_at timestamp with time zone not null,
  constraint consents_pkey PRIMARY KEY (user_id, client_id, scope),
  constraint consents_client_id_fkey FOREIGN KEY (client_id) REFERENCES latchkey.clients(id) ON DELETE CASCADE,
  constraint consents_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE INDEX consents_client ON latchkey.consents USING btree (client_id);

create table latchkey.device_grants (
  id uuid not null,
  client_id uuid not null,
  scope text[] not null,
  device_code_hash bytea not null,
  user_code_hash bytea not null,
  sealed_user_code text not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  interval_seconds integer not null,
  polled_at timestamp with time zone,
  ip inet,
  user_agent text,
  locale text,
  browser_hash bytea,
  fulfilled_at timestamp with time zone,
  rejected_at timestamp with time zone,
  browser_session_id uuid,
  claimed_until timestamp with time zone,
  exchanged_at timestamp with time zone,
  oauth_session_id uuid,
  constraint device_grants_pkey PRIMARY KEY (id),
  constraint device_grants_device_code_hash_key UNIQUE (device_code_hash),
  constraint device_grants_user_code_hash_key UNIQUE (user_code_hash),
  constraint device_grants_browser_session_id_fkey FOREIGN KEY (browser_session_id) REFERENCES latchkey.browser_sessions(id) ON DELETE SET NULL,
  constraint device_grants_client_id_fkey FOREIGN KEY (client_id) REFERENCES latchkey.clients(id) ON DELETE CASCADE,
  constraint device_grants_one_answer CHECK (((fulfilled_at IS NULL) OR (rejected_at IS NULL)))
);
CREATE INDEX device_grants_browser ON latchkey.device_grants USING btree (browser_session_id) WHERE (browser_session_id IS NOT NULL);
CREATE INDEX device_grants_client ON latchkey.device_grants USING btree (client_id);

create table latchkey.directory_links (
  user_id uuid not null,
  entry_id text not null,
  dn text not null,
  created_at timestamp with time zone not null,
  last_used_at timestamp with time zone not null,
  constraint directory_links_pkey PRIMARY KEY (user_id),
  constraint directory_links_entry_id_key UNIQUE (entry_id),
  constraint directory_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);

create table latchkey.email_verifications (
  id uuid not null,
  registration_id uuid,
  user_id uuid,
  email text not null,
  code_hash bytea not null,
  code_expires_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  completed_at timestamp with time zone,
  from_provider boolean not null default false,
  constraint email_verifications_pkey PRIMARY KEY (id),
  constraint email_verifications_registration_id_key UNIQUE (registration_id),
  constraint email_verifications_registration_id_fkey FOREIGN KEY (registration_id) REFERENCES latchkey.registrations(id) ON DELETE CASCADE,
  constraint email_verifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE,
  constraint email_verifications_one_owner CHECK (((registration_id IS NULL) <> (user_id IS NULL)))
);
CREATE INDEX email_verifications_user ON latchkey.email_verifications USING btree (user_id);

create table latchkey.idempotency_keys (
  key_hash bytea not null,
  request_hash bytea not null,
  created_at timestamp with time zone not null,
  status integer,
  sealed_answer text,
  constraint idempotency_keys_pkey PRIMARY KEY (key_hash)
);
CREATE INDEX idempotency_keys_created ON latchkey.idempotency_keys USING btree (created_at);

create table latchkey.known_browsers (
  user_id uuid not null,
  browser_hash bytea not null,
  last_used_at timestamp with time zone not null,
  constraint known_browsers_pkey PRIMARY KEY (user_id, browser_hash),
  constraint known_browsers_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);

create table latchkey.logout_returns (
  state_hash bytea not null,
  browser_hash bytea not null,
  target text not null,
  created_at timestamp with time zone not null,
  constraint logout_returns_pkey PRIMARY KEY (state_hash)
);
CREATE INDEX logout_returns_age ON latchkey.logout_returns USING btree (created_at);

create table latchkey.mails (
  id uuid not null,
  kind text not null,
  sealed_content text not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone,
  attempts integer not null default 0,
  attempted_at timestamp with time zone,
  failure text,
  given_up_at timestamp with time zone,
  constraint mails_pkey PRIMARY KEY (id)
);

create table latchkey.migrations (
  version integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default now(),
  contract boolean,
  constraint migrations_pkey PRIMARY KEY (version)
);

create table latchkey.oauth_sessions (
  id uuid not null,
  client_id uuid not null,
  user_id uuid,
  browser_session_id uuid,
  scope text[] not null,
  device_id text,
  human_name text,
  created_at timestamp with time zone not null,
  finished_at timestamp with time zone,
  user_agent text,
  last_active_at timestamp with time zone,
  last_active_ip inet,
  claim_scopes text[] not null default '{}'::text[],
  constraint oauth_sessions_pkey PRIMARY KEY (id),
  constraint oauth_sessions_browser_session_id_fkey FOREIGN KEY (browser_session_id) REFERENCES latchkey.browser_sessions(id) ON DELETE SET NULL,
  constraint oauth_sessions_client_id_fkey FOREIGN KEY (client_id) REFERENCES latchkey.clients(id) ON DELETE CASCADE,
  constraint oauth_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE INDEX oauth_sessions_activity ON latchkey.oauth_sessions USING btree (COALESCE(last_active_at, created_at), id);
CREATE INDEX oauth_sessions_admin ON latchkey.oauth_sessions USING btree (id) WHERE (scope && ARRAY['urn:mas:admin'::text, 'urn:synapse:admin:*'::text]);
CREATE INDEX oauth_sessions_browser ON latchkey.oauth_sessions USING btree (browser_session_id);
CREATE INDEX oauth_sessions_created ON latchkey.oauth_sessions USING btree (created_at);
CREATE INDEX oauth_sessions_device ON latchkey.oauth_sessions USING btree (device_id) WHERE (device_id IS NOT NULL);
CREATE INDEX oauth_sessions_finished ON latchkey.oauth_sessions USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX oauth_sessions_of_client ON latchkey.oauth_sessions USING btree (client_id, id);
CREATE INDEX oauth_sessions_of_user ON latchkey.oauth_sessions USING btree (user_id, id);

create table latchkey.pending_deactivations (
  user_id uuid not null,
  digest bytea not null,
  erase boolean not null,
  requested_at timestamp with time zone not null,
  due_at timestamp with time zone not null,
  keep_locked boolean not null,
  constraint pending_deactivations_pkey PRIMARY KEY (user_id),
  constraint pending_deactivations_digest_key UNIQUE (digest),
  constraint pending_deactivations_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE INDEX pending_deactivations_due ON latchkey.pending_deactivations USING btree (due_at);

create table latchkey.personal_sessions (
  id uuid not null,
  owner_user_id uuid,
  owner_client_id uuid,
  user_id uuid not null,
  human_name text not null,
  scope text[] not null,
  device_id text,
  created_at timestamp with time zone not null,
  finished_at timestamp with time zone,
  user_agent text,
  last_active_at timestamp with time zone,
  last_active_ip inet,
  constraint personal_sessions_pkey PRIMARY KEY (id),
  constraint personal_sessions_owner_client_id_fkey FOREIGN KEY (owner_client_id) REFERENCES latchkey.clients(id) ON DELETE CASCADE,
  constraint personal_sessions_owner_user_id_fkey FOREIGN KEY (owner_user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE,
  constraint personal_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE,
  constraint personal_sessions_one_owner CHECK ((num_nonnulls(owner_user_id, owner_client_id) = 1))
);
CREATE INDEX personal_sessions_finished ON latchkey.personal_sessions USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX personal_sessions_of_owner ON latchkey.personal_sessions USING btree (owner_user_id, id);
CREATE INDEX personal_sessions_of_user ON latchkey.personal_sessions USING btree (user_id, id);
CREATE INDEX personal_sessions_owner_client ON latchkey.personal_sessions USING btree (owner_client_id);

create table latchkey.personal_tokens (
  id uuid not null,
  session_id uuid not null,
  token_hash bytea not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  constraint personal_tokens_pkey PRIMARY KEY (id),
  constraint personal_tokens_token_hash_key UNIQUE (token_hash),
  constraint personal_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES latchkey.personal_sessions(id) ON DELETE CASCADE
);
CREATE INDEX personal_tokens_every_session ON latchkey.personal_tokens USING btree (session_id);
CREATE UNIQUE INDEX personal_tokens_session ON latchkey.personal_tokens USING btree (session_id) WHERE (revoked_at IS NULL);

create table latchkey.policy_data (
  id uuid not null,
  "position" bigint not null generated always as identity,
  created_at timestamp with time zone not null,
  data jsonb not null,
  constraint policy_data_pkey PRIMARY KEY (id),
  constraint policy_data_position_key UNIQUE ("position")
);

create table latchkey.pushed_requests (
  digest bytea not null,
  client_id uuid not null,
  parameters jsonb not null,
  signed boolean not null,
  expires_at timestamp with time zone not null,
  constraint pushed_requests_pkey PRIMARY KEY (digest),
  constraint pushed_requests_client_id_fkey FOREIGN KEY (client_id) REFERENCES latchkey.clients(id) ON DELETE CASCADE
);
CREATE INDEX pushed_requests_client ON latchkey.pushed_requests USING btree (client_id);
CREATE INDEX pushed_requests_expiry ON latchkey.pushed_requests USING btree (expires_at);

create unlogged table latchkey.rate_limits (
  key text not null,
  arrival_at timestamp with time zone not null,
  constraint rate_limits_pkey PRIMARY KEY (key)
);

create table latchkey.recoveries (
  id uuid not null,
  browser_hash bytea not null,
  email text not null,
  continuation text not null,
  requested_at timestamp with time zone not null,
  ip inet,
  user_agent text,
  accept_language text,
  constraint recoveries_pkey PRIMARY KEY (id)
);

create table latchkey.recovery_tickets (
  digest bytea not null,
  user_id uuid not null,
  recovery_id uuid,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  used_at timestamp with time zone,
  constraint recovery_tickets_pkey PRIMARY KEY (digest),
  constraint recovery_tickets_recovery_id_fkey FOREIGN KEY (recovery_id) REFERENCES latchkey.recoveries(id) ON DELETE CASCADE,
  constraint recovery_tickets_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE INDEX recovery_tickets_recovery ON latchkey.recovery_tickets USING btree (recovery_id);
CREATE INDEX recovery_tickets_user ON latchkey.recovery_tickets USING btree (user_id);

create table latchkey.registration_tokens (
  id uuid not null,
  token_hash bytea not null,
  sealed_token text not null,
  usage_limit integer,
  times_used integer not null default 0,
  created_at timestamp with time zone not null,
  last_used_at timestamp with time zone,
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  constraint registration_tokens_pkey PRIMARY KEY (id),
  constraint registration_tokens_token_hash_key UNIQUE (token_hash),
  constraint registration_tokens_usage_limit_check CHECK ((usage_limit > 0))
);

create table latchkey.registrations (
  id uuid not null,
  browser_hash bytea not null,
  username text not null,
  password_version integer,
  password_hash text,
  display_name text,
  terms_uri text,
  continuation text not null default ''::text,
  ip inet,
  user_agent text,
  created_at timestamp with time zone not null,
  completed_at timestamp with time zone,
  registration_token_id uuid,
  username_folded text,
  invited boolean not null default false,
  terms_version text not null default ''::text,
  needs_approval boolean not null default false,
  upstream_session_id uuid,
  username_decided boolean not null default false,
  display_name_decided boolean not null default false,
  email_decided boolean not null default false,
  constraint registrations_pkey PRIMARY KEY (id),
  constraint registrations_registration_token_id_fkey FOREIGN KEY (registration_token_id) REFERENCES latchkey.registration_tokens(id) ON DELETE SET NULL
);
CREATE INDEX registrations_browser ON latchkey.registrations USING btree (browser_hash) WHERE (completed_at IS NULL);
CREATE INDEX registrations_token ON latchkey.registrations USING btree (registration_token_id) WHERE (registration_token_id IS NOT NULL);
CREATE INDEX registrations_username ON latchkey.registrations USING btree (username_folded, created_at) WHERE (completed_at IS NULL);

create table latchkey.security_events (
  id uuid not null,
  user_id uuid not null,
  kind text not null,
  at timestamp with time zone not null,
  actor text not null,
  ip inet,
  user_agent text,
  details jsonb not null default '{}'::jsonb,
  constraint security_events_pkey PRIMARY KEY (id),
  constraint security_events_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE,
  constraint security_events_actor CHECK ((actor = ANY (ARRAY['self'::text, 'admin'::text, 'system'::text])))
);
CREATE INDEX security_events_kind ON latchkey.security_events USING btree (kind, id);
CREATE INDEX security_events_user ON latchkey.security_events USING btree (user_id, id DESC);

create table latchkey.settings (
  key text not null,
  value jsonb not null,
  constraint settings_pkey PRIMARY KEY (key)
);

create table latchkey.signing_keys (
  kid text not null,
  sealed_key text not null,
  created_at timestamp with time zone not null,
  signs_from timestamp with time zone not null,
  constraint signing_keys_pkey PRIMARY KEY (kid)
);

create table latchkey.tokens (
  session_id uuid not null,
  id uuid not null,
  access_hash bytea,
  refresh_hash bytea,
  expires_at timestamp with time zone,
  first_used_at timestamp with time zone,
  consumed_at timestamp with time zone,
  next_id uuid,
  dpop_jkt text,
  constraint tokens_pkey PRIMARY KEY (session_id, id),
  constraint tokens_access_hash_key UNIQUE (access_hash),
  constraint tokens_refresh_hash_key UNIQUE (refresh_hash),
  constraint tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES latchkey.oauth_sessions(id) ON DELETE CASCADE
) with (fillfactor=90);

create table latchkey.upstream_links (
  id uuid not null,
  provider_id uuid not null,
  subject text not null,
  user_id uuid,
  human_account_name text,
  created_at timestamp with time zone not null,
  last_used_at timestamp with time zone,
  asked_email_hash bytea,
  constraint upstream_links_pkey PRIMARY KEY (id),
  constraint upstream_links_provider_id_subject_key UNIQUE (provider_id, subject),
  constraint upstream_links_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES latchkey.upstream_providers(id) ON DELETE CASCADE,
  constraint upstream_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE INDEX upstream_links_unowned ON latchkey.upstream_links USING btree (id) WHERE (user_id IS NULL);
CREATE INDEX upstream_links_user ON latchkey.upstream_links USING btree (user_id) WHERE (user_id IS NOT NULL);

create table latchkey.upstream_providers (
  id uuid not null,
  issuer text,
  human_name text,
  brand_name text,
  registration_token_required boolean not null default false,
  created_at timestamp with time zone not null,
  disabled_at timestamp with time zone,
  by_api boolean not null default false,
  settings jsonb,
  sealed_secrets text,
  revision uuid,
  constraint upstream_providers_pkey PRIMARY KEY (id)
);

create table latchkey.upstream_sessions (
  id uuid not null,
  provider_id uuid not null,
  browser_hash bytea not null,
  state_hash bytea not null,
  sealed_secrets text not null,
  continuation text not null default ''::text,
  created_at timestamp with time zone not null,
  claimed_at timestamp with time zone,
  link_id uuid,
  answer jsonb,
  subject text,
  sid text,
  sealed_id_token text,
  completed_at timestamp with time zone,
  consumed_at timestamp with time zone,
  browser_session_id uuid,
  constraint upstream_sessions_pkey PRIMARY KEY (id),
  constraint upstream_sessions_state_hash_key UNIQUE (state_hash),
  constraint upstream_sessions_browser_session_id_fkey FOREIGN KEY (browser_session_id) REFERENCES latchkey.browser_sessions(id) ON DELETE SET NULL,
  constraint upstream_sessions_link_id_fkey FOREIGN KEY (link_id) REFERENCES latchkey.upstream_links(id) ON DELETE SET NULL,
  constraint upstream_sessions_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES latchkey.upstream_providers(id) ON DELETE CASCADE
);
CREATE INDEX upstream_sessions_browser_session ON latchkey.upstream_sessions USING btree (browser_session_id);
CREATE INDEX upstream_sessions_link ON latchkey.upstream_sessions USING btree (link_id);
CREATE INDEX upstream_sessions_sid ON latchkey.upstream_sessions USING btree (provider_id, sid);
CREATE INDEX upstream_sessions_subject ON latchkey.upstream_sessions USING btree (provider_id, subject);

create table latchkey.used_jwts (
  digest bytea not null,
  expires_at timestamp with time zone not null,
  constraint used_jwts_pkey PRIMARY KEY (digest)
);
CREATE INDEX used_jwts_expiry ON latchkey.used_jwts USING btree (expires_at);

create table latchkey.user_emails (
  id uuid not null,
  user_id uuid not null,
  email text not null,
  email_folded text not null,
  imported_duplicate boolean not null default false,
  created_at timestamp with time zone not null,
  is_primary boolean not null default false,
  constraint user_emails_pkey PRIMARY KEY (id),
  constraint user_emails_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX user_emails_email_folded ON latchkey.user_emails USING btree (email_folded) WHERE (NOT imported_duplicate);
CREATE INDEX user_emails_folded ON latchkey.user_emails USING btree (email_folded);
CREATE UNIQUE INDEX user_emails_primary ON latchkey.user_emails USING btree (user_id) WHERE is_primary;
CREATE INDEX user_emails_user ON latchkey.user_emails USING btree (user_id);

create table latchkey.user_leases (
  user_id uuid not null,
  generation bigint not null,
  expires_at timestamp with time zone not null,
  constraint user_leases_pkey PRIMARY KEY (user_id),
  constraint user_leases_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);

create table latchkey.user_passwords (
  id uuid not null,
  user_id uuid not null,
  version integer not null,
  hash text not null,
  created_at timestamp with time zone not null,
  constraint user_passwords_pkey PRIMARY KEY (id),
  constraint user_passwords_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);
CREATE INDEX user_passwords_user ON latchkey.user_passwords USING btree (user_id, created_at DESC);

create table latchkey.user_terms (
  user_id uuid not null,
  terms_uri text not null,
  accepted_at timestamp with time zone not null,
  version text not null default ''::text,
  constraint user_terms_pkey PRIMARY KEY (user_id, terms_uri, version),
  constraint user_terms_user_id_fkey FOREIGN KEY (user_id) REFERENCES latchkey.users(id) ON DELETE CASCADE
);

create table latchkey.users (
  id uuid not null,
  username text not null,
  username_folded text not null,
  imported_duplicate boolean not null default false,
  display_name text,
  is_admin boolean not null default false,
  is_guest boolean not null default false,
  created_at timestamp with time zone not null,
  locked_at timestamp with time zone,
  deactivated_at timestamp with time zone,
  provisioned_at timestamp with time zone,
  reactivated_at timestamp with time zone,
  erased_at timestamp with time zone,
  locale text,
  time_zone text,
  approval_requested_at timestamp with time zone,
  sign_up_lang text,
  deleted_at timestamp with time zone,
  constraint users_pkey PRIMARY KEY (id),
  constraint users_deleted CHECK (((deleted_at IS NULL) OR (deactivated_at IS NOT NULL))),
  constraint users_waiting_is_locked CHECK (((approval_requested_at IS NULL) OR (locked_at IS NOT NULL)))
);
CREATE INDEX users_admins ON latchkey.users USING btree (id) WHERE is_admin;
CREATE INDEX users_deactivated ON latchkey.users USING btree (id) WHERE (deactivated_at IS NOT NULL);
CREATE INDEX users_guests ON latchkey.users USING btree (id) WHERE is_guest;
CREATE INDEX users_locked ON latchkey.users USING btree (id) WHERE (locked_at IS NOT NULL);
CREATE INDEX users_name_beginning ON latchkey.users USING btree (username_folded text_pattern_ops);
CREATE INDEX users_name_parts ON latchkey.users USING gin (username_folded latchkey.gin_trgm_ops);
CREATE UNIQUE INDEX users_username_folded ON latchkey.users USING btree (username_folded) WHERE (NOT imported_duplicate);
CREATE INDEX users_waiting ON latchkey.users USING btree (id) WHERE (approval_requested_at IS NOT NULL);
