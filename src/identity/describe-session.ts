import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import type { SessionRow } from '../../sql/sessions.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import type { AccountSession } from '../render/contexts-account.ts'
import { describeUserAgent } from './user-agent.ts'

/** A session as pages show it, seen from the one that a person looks with. */
export function describeSession(row: SessionRow, current: Pick<BrowserSessionRow, 'id'>): AccountSession {
  const agent = describeUserAgent(row.user_agent ?? undefined)
  return {
    id: ulidFromUuid(row.id),
    kind: row.kind,
    ...(row.human_name !== null && { name: row.human_name }),
    ...(row.client_name !== null && { client_name: row.client_name }),
    ...(row.device_id !== null && { device_id: row.device_id }),
    current: row.kind === 'browser' && row.id === current.id,
    created_at: row.created_at.toISOString(),
    ...(row.last_active_at !== null && { last_active_at: row.last_active_at.toISOString() }),
    ...(row.last_active_ip !== null && { last_active_ip: row.last_active_ip }),
    ...(agent !== undefined && { user_agent: agent }),
  }
}
