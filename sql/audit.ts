import type { Db } from './connect.ts'

/** Records what an admin did. The id holds the time. */
export const insertAuditEntry = (
  sql: Db,
  entry: {
    id: string
    action: string
    actorUserId: string | null
    actorClientId: string | null
    targetType: string | null
    targetId: string | null
    ip: string | null
  },
) => sql`
  insert into latchkey.audit_log (id, action, actor_user_id, actor_client_id, target_type, target_id, ip)
  values (${entry.id}, ${entry.action}, ${entry.actorUserId}, ${entry.actorClientId}, ${entry.targetType},
    ${entry.targetId}, ${entry.ip})`
