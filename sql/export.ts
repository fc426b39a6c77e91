import type { Db } from './connect.ts'

/**
 * Everything that is held about a person, as one JSON object: no digest, no hash, no secret, and of other people only
 * what the person did to them. A person reads this: the names are plain, and clients are told by their own names.
 */
export const exportAccount = (sql: Db, userId: string) => sql<{ data: Record<string, unknown> }[]>`
  with mine as (
    select id, human_name, created_at, authenticated_at, authentication_method, finished_at, user_agent, last_active_at, last_active_ip
    from latchkey.browser_sessions where user_id = ${userId}
  )
  select jsonb_build_object(
    'account', (select jsonb_build_object('username', u.username, 'display_name', u.display_name,
        'created_at', u.created_at, 'administrator', u.is_admin, 'guest', u.is_guest, 'locked_at', u.locked_at, 'waits_for_approval_since', u.approval_requested_at,
        'deactivated_at', u.deactivated_at, 'reactivated_at', u.reactivated_at, 'language', u.locale,
        'time_zone', u.time_zone, 'known_to_homeserver_since', u.provisioned_at)
      from latchkey.users u where u.id = ${userId}),
    'email_addresses', (select coalesce(jsonb_agg(jsonb_build_object('address', e.email, 'added_at', e.created_at,
        'primary', e.is_primary) order by e.id), '[]') from latchkey.user_emails e where e.user_id = ${userId}),
    'email_confirmations', (select coalesce(jsonb_agg(jsonb_build_object('address', v.email,
        'asked_at', v.created_at, 'completed_at', v.completed_at) order by v.id), '[]')
      from latchkey.email_verifications v where v.user_id = ${userId}),
    'password_set_at', (select max(p.created_at) from latchkey.user_passwords p where p.user_id = ${userId}),
    'accepted_terms', (select coalesce(jsonb_agg(jsonb_build_object('address', t.terms_uri, 'version', t.version,
        'accepted_at', t.accepted_at)), '[]') from latchkey.user_terms t where t.user_id = ${userId}),
    'browsers', (select coalesce(jsonb_agg(jsonb_build_object('name', s.human_name, 'signed_in_at', s.created_at,
        'confirmed_at', s.authenticated_at, 'confirmed_with', s.authentication_method, 'ended_at', s.finished_at, 'user_agent', s.user_agent,
        'last_active_at', s.last_active_at, 'last_address', host(s.last_active_ip)) order by s.id), '[]')
      from mine s),
    'known_browsers_last_used_at', (select coalesce(jsonb_agg(k.last_used_at order by k.last_used_at), '[]')
      from latchkey.known_browsers k where k.user_id = ${userId}),
    'apps', (select coalesce(jsonb_agg(jsonb_build_object('app', c.metadata->>'client_name',
        'app_address', c.metadata->>'client_uri', 'name', s.human_name, 'device_id', s.device_id,
        'may', s.scope, 'signed_in_at', s.created_at, 'ended_at', s.finished_at, 'user_agent', s.user_agent,
        'last_active_at', s.last_active_at, 'last_address', host(s.last_active_ip)) order by s.id), '[]')
      from latchkey.oauth_sessions s join latchkey.clients c on c.id = s.client_id where s.user_id = ${userId}),
    'older_apps', (select coalesce(jsonb_agg(jsonb_build_object('name', s.human_name, 'device_id', s.device_id,
        'signed_in_at', s.created_at, 'ended_at', s.finished_at, 'user_agent', s.user_agent,
        'last_active_at', s.last_active_at, 'last_address', host(s.last_active_ip)) order by s.id), '[]')
      from latchkey.compat_sessions s where s.user_id = ${userId}),
    'access_tokens', (select coalesce(jsonb_agg(jsonb_build_object('name', s.human_name, 'device_id', s.device_id,
        'may', s.scope, 'made_by_me', s.owner_user_id is not distinct from ${userId},
        'acts_as_me', s.user_id = ${userId}, 'made_at', s.created_at, 'ended_at', s.finished_at,
        'last_active_at', s.last_active_at, 'last_address', host(s.last_active_ip)) order by s.id), '[]')
      from latchkey.personal_sessions s where s.user_id = ${userId} or s.owner_user_id = ${userId}),
    'agreed_to', (select coalesce(jsonb_agg(jsonb_build_object('app', c.metadata->>'client_name',
        'may', a.scope, 'at', a.created_at) order by a.created_at), '[]')
      from latchkey.consents a join latchkey.clients c on c.id = a.client_id where a.user_id = ${userId}),
    'sign_ins_of_apps', (select coalesce(jsonb_agg(jsonb_build_object('app', c.metadata->>'client_name',
        'returns_to', g.redirect_uri, 'may', g.scope, 'asked_at', g.created_at, 'answered_at', g.fulfilled_at,
        'cancelled_at', g.cancelled_at, 'language', g.locale) order by g.id), '[]')
      from latchkey.authorization_grants g join mine s on s.id = g.browser_session_id
        join latchkey.clients c on c.id = g.client_id),
    'sign_ins_of_devices', (select coalesce(jsonb_agg(jsonb_build_object('app', c.metadata->>'client_name',
        'may', g.scope, 'asked_at', g.created_at, 'allowed_at', g.fulfilled_at, 'refused_at', g.rejected_at,
        'address', host(g.ip), 'user_agent', g.user_agent) order by g.id), '[]')
      from latchkey.device_grants g join mine s on s.id = g.browser_session_id
        join latchkey.clients c on c.id = g.client_id),
    'password_resets', (select coalesce(jsonb_agg(jsonb_build_object('link_made_at', r.created_at,
        'expires_at', r.expires_at, 'used_at', r.used_at) order by r.created_at), '[]')
      from latchkey.recovery_tickets r where r.user_id = ${userId}),
    'password_resets_asked_for', (select coalesce(jsonb_agg(jsonb_build_object('address', r.email,
        'asked_at', r.requested_at, 'from', host(r.ip), 'user_agent', r.user_agent) order by r.id), '[]')
      from latchkey.recoveries r where r.id in (
        select t.recovery_id from latchkey.recovery_tickets t where t.user_id = ${userId})),
    'linked_identities', (select coalesce(jsonb_agg(jsonb_build_object('at', coalesce(p.human_name, p.issuer),
        'known_there_as', l.subject, 'name', l.human_account_name, 'first_seen_at', l.created_at,
        'last_used_at', l.last_used_at) order by l.id), '[]')
      from latchkey.upstream_links l join latchkey.upstream_providers p on p.id = l.provider_id
      where l.user_id = ${userId}),
    'directory_entry', (select jsonb_build_object('known_there_as', l.dn, 'linked_at', l.created_at,
        'last_used_at', l.last_used_at) from latchkey.directory_links l where l.user_id = ${userId}),
    'sign_ins_with_identities', (select coalesce(jsonb_agg(jsonb_build_object('at', coalesce(p.human_name, p.issuer),
        'begun_at', w.created_at, 'used_at', w.consumed_at, 'what_it_said', w.answer) order by w.id), '[]')
      from latchkey.upstream_sessions w join latchkey.upstream_providers p on p.id = w.provider_id
        join latchkey.upstream_links l on l.id = w.link_id
      where l.user_id = ${userId}),
    'deactivation_asked_for', (select coalesce(jsonb_agg(jsonb_build_object('asked_at', d.requested_at,
        'due_at', d.due_at, 'messages_hidden', d.erase)), '[]')
      from latchkey.pending_deactivations d where d.user_id = ${userId}),
    'security_log', (select coalesce(jsonb_agg(jsonb_build_object('what', v.kind, 'at', v.at, 'by', v.actor,
        'address', host(v.ip), 'user_agent', v.user_agent, 'details', v.details) order by v.id), '[]')
      from latchkey.security_events v where v.user_id = ${userId}),
    'administration', (select coalesce(jsonb_agg(jsonb_build_object('what', l.action, 'to', l.target_type,
        'address', host(l.ip)) order by l.id), '[]')
      from latchkey.audit_log l where l.actor_user_id = ${userId})
  ) as data`
